"""From projects to checks: which, where, why; and the word of the configuration."""

import pytest

from tasks.core.outcome import Verdict
from tasks.core.plan import CheckKind, Inputs, matches
from tasks.core.settings import SettingsRefused
from tests.core.targets import SHOP, check_of, planned

PYPROJECT = "[project]\nname = 'x'\n"


def test_every_room_of_the_shop() -> None:
    """The sample gets its checks in all three rooms, the coverage floor of its own configuration among them."""
    plan = planned(SHOP)

    assert {
        "backend/black",
        "backend/ruff",
        "backend/mypy",
        "backend/pytest",
        "backend/smoke",
        "backend/coverage",
        "frontend/eslint",
        "frontend/typescript",
        "frontend/test",
        "frontend/build",
        "images/backend",
    } == {check.id for check in plan.checks}
    assert {"python:backend", "node:frontend"} == {place.id for place in plan.environments}
    assert check_of(plan, "backend/coverage").minimum_percent == 75


def test_unused_tools_are_said() -> None:
    """A tool the team has not adopted is skipped with that reason, and how to adopt it."""
    ruff = check_of(planned(SHOP), "backend/ruff").settled

    assert ruff is not None
    assert ruff.verdict == Verdict.SKIPPED
    assert "ruff is not used here" in ruff.reason
    assert "enabled = true" in ruff.remedy


def test_switched_on() -> None:
    """A check that detection leaves dormant runs when the configuration says so."""
    plan = planned({**SHOP, "towpath.toml": "[checks.ruff]\nenabled = true\n"})

    assert check_of(plan, "backend/ruff").settled is None


@pytest.mark.parametrize("name", ['"backend/mypy"', "mypy"])
def test_switched_off(name: str) -> None:
    """A check that is switched off is skipped with the team's own reason, by its full name or its tool's."""
    plan = planned({**SHOP, "towpath.toml": f'[checks.{name}]\nenabled = false\nreason = "not typed yet"\n'})
    settled = check_of(plan, "backend/mypy").settled

    assert settled is not None
    assert settled.reason == "switched off in the configuration: not typed yet"


def test_unknown_check_is_refused() -> None:
    """A setting for a check that does not exist here is refused with the known ones."""
    with pytest.raises(SettingsRefused, match="no such check here; known: backend/black"):
        planned({**SHOP, "towpath.toml": "[checks.mypi]\nenabled = true\n"})


def test_unknown_image_is_refused() -> None:
    """Settings for an image that was not found and has no Dockerfile are refused."""
    with pytest.raises(SettingsRefused, match=r"images.web: no such image was found \(found: backend\)"):
        planned({**SHOP, "towpath.toml": "[images.web]\nport = 1\n"})


def test_own_check() -> None:
    """A check of the team's own runs its command over the inputs it names."""
    text = '[checks.docs]\ncommand = ["make", "docs"]\ninputs = ["docs"]\ntimeout_seconds = 5\n'
    check = check_of(planned({**SHOP, "towpath.toml": text}), "own/docs")

    assert check.program == ("make",)
    assert check.timeout_seconds == 5
    assert check.inputs.chosen(["docs/a.md", "backend/x.py"]) == ["docs/a.md"]


def test_a_broken_manifest_blocks() -> None:
    """A project whose manifest is broken is an error in the plan, not an absence."""
    settled = check_of(planned({**SHOP, "frontend/package.json": "{"}), "target/frontend/package.json").settled

    assert settled is not None
    assert settled.verdict == Verdict.ERROR


def test_frontend_edits_leave_the_backend_alone() -> None:
    """A frontend file is no input of a backend check and the other way round; files of no project count for both."""
    plan = planned(SHOP)
    backend, frontend = check_of(plan, "backend/pytest").inputs, check_of(plan, "frontend/test").inputs

    assert not backend.includes("frontend/src/app.tsx")
    assert not frontend.includes("backend/src/shop/__init__.py")
    assert backend.includes("shared/schema.json")
    assert frontend.includes("shared/schema.json")


def test_several_backends_have_their_own_names() -> None:
    """Checks of a monorepo's projects are told apart by folder, and one lock file makes one environment."""
    root = "[tool.uv.workspace]\nmembers = ['a', 'b']\n"
    files = {"pyproject.toml": root, "uv.lock": "", "a/pyproject.toml": PYPROJECT, "b/pyproject.toml": PYPROJECT}
    plan = planned({**files, "a/test_a.py": "", "b/test_b.py": ""})

    assert {"backend/a/pytest", "backend/b/pytest"} <= {check.id for check in plan.checks}
    assert [place.id for place in plan.environments] == ["python:."]
    assert "--all-packages" in plan.environments[0].steps[0].argv


def test_coverage_follows_the_tests() -> None:
    """Coverage is judged from the tests' own run and never runs anything itself."""
    plan = planned(SHOP)
    coverage = check_of(plan, "backend/coverage")

    assert coverage.kind == CheckKind.COVERAGE
    assert coverage.follows == "backend/pytest"
    assert coverage not in plan.to_run()


def test_heaviest_first() -> None:
    """Checks that took long come first, and unknown ones before all of them."""
    plan = planned(SHOP).ordered({"backend/pytest": 9.0, "backend/black": 1.0})
    ids = [check.id for check in plan.checks]

    assert ids.index("backend/mypy") < ids.index("backend/pytest") < ids.index("backend/black")


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("docs/a.md", "docs", True),
        ("docs/a.md", "docs/", True),
        ("docs/deep/a.md", "*.md", True),
        ("docs/deep/a.md", "docs/*.md", True),
        ("src/a.py", "*.md", False),
        ("documents/a.md", "docs", False),
    ],
)
def test_patterns(path: str, pattern: str, expected: bool) -> None:
    """A pattern is a folder, or a glob whose star also crosses folders."""
    assert expected is matches(path, pattern)


def test_inputs_are_sorted() -> None:
    """The same files in another order give the same inputs."""
    inputs = Inputs(without=("web",), names=(".py",))

    assert inputs.chosen(["b.py", "web/c.py", "a.py", "a.md"]) == ["a.py", "b.py"]


def test_images_of_excluded_folders_are_said() -> None:
    """Settings of an image whose folder is excluded make a skipped check with that reason, not a refusal."""
    text = '[projects]\nexclude = ["backend"]\n[images.backend]\nport = 1\n'
    settled = check_of(planned({**SHOP, "towpath.toml": text}), "images/backend").settled

    assert settled is not None
    assert settled.verdict == Verdict.SKIPPED
    assert "projects.exclude" in settled.reason
