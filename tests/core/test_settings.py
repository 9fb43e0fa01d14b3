"""Configuration: defaults, one-line refusals, overrides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.settings import Settings, SettingsRefused, read_settings


def test_nothing_configured() -> None:
    """A target without a configuration gets the defaults."""
    assert Settings() == read_settings({})
    assert Settings() == read_settings({"pyproject.toml": "[project]\nname = 'x'\n"})


def test_own_file_wins() -> None:
    """towpath.toml is taken before a table in pyproject.toml."""
    files = {
        "towpath.toml": "[coverage]\nminimum_percent = 70\n",
        "pyproject.toml": "[tool.towpath.coverage]\nminimum_percent = 60\n",
    }

    assert read_settings(files).coverage.minimum_percent == 70
    assert read_settings({"pyproject.toml": files["pyproject.toml"]}).coverage.minimum_percent == 60


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[coverag]\n", "towpath.toml: unknown key coverag; did you mean coverage?"),
        ("[coverage]\nminimum = 3\n", "unknown key coverage.minimum; did you mean minimum_percent?"),
        ("[images.web]\nprt = 1\n", "unknown key images.web.prt; did you mean port?"),
        ("[checks.mypy]\nenable = true\n", "unknown key checks.mypy.enable; did you mean enabled?"),
        ("[run]\nzzz = 1\n", "unknown key run.zzz; known here: parallelism"),
        ("[coverage]\nminimum_percent = 101\n", "coverage.minimum_percent: Input should be less than or equal to 100"),
        ("[run]\nparallelism = 'two'\n", "run.parallelism: Input should be a valid integer"),
        ("[checks.mypy]\nenabled = false\n", "checks.mypy: a check that is switched off needs a reason"),
        ("[run\n", "towpath.toml is not valid TOML"),
        ("coverage = 3\n", "towpath.toml: coverage: Input should be"),
    ],
)
def test_refusals(text: str, said: str) -> None:
    """What cannot be used is refused in one line that names the key and the nearest known one."""
    with pytest.raises(SettingsRefused) as refused:
        read_settings({"towpath.toml": text})

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("coverage.minimum_percent=80", {"coverage": {"minimum_percent": 80.0}}),
        ("images.web.build_arguments.BASE=a/b:1", {"images": {"web": {"build_arguments": {"BASE": "a/b:1"}}}}),
        ("run.fail_fast=true", {"run": {"fail_fast": True}}),
        ('backend.groups=["dev"]', {"backend": {"groups": ("dev",)}}),
    ],
)
def test_overrides(override: str, expected: dict[str, dict[str, object]]) -> None:
    """The command line's settings go over the file's, as TOML where they parse as TOML, else as text."""
    assert expected == read_settings({}, [override]).model_dump(exclude_unset=True)


def test_override_without_a_value() -> None:
    """A word that is no setting is refused with an example."""
    with pytest.raises(SettingsRefused, match=r"expected key\.path=value"):
        read_settings({}, ["coverage"])


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever stands in the file, it is settings or one line, never another exception."""
    try:
        read_settings({"towpath.toml": text})
    except SettingsRefused as refused:
        assert "\n" not in str(refused)  # noqa: PT017  (settings are as good an answer)
