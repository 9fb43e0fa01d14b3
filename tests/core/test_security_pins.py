"""Which versions lock files fix, by tables."""

import pytest

from tasks.core.security.pins import Pins, UnreadableLock, pins_of_lock, pins_of_requirements

UV = """
version = 1
[[package]]
name = "Shop_App"
version = "0.1.0"
source = { editable = "." }
[[package]]
name = "Jinja2"
version = "3.1.2"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "forked"
version = "1.0"
source = { git = "https://example.org/forked?rev=1" }
"""
POETRY = """
[[package]]
name = "jinja2"
version = "3.1.2"
optional = false
[[package]]
name = "local"
version = "1.0"
[package.source]
type = "directory"
url = "../local"
[[package]]
name = "archive"
version = "2.0"
[package.source]
type = "url"
url = "https://example.org/archive.zip"
"""


@pytest.mark.parametrize(
    ("path", "text", "pinned", "skipped"),
    [
        ("uv.lock", UV, (("jinja2", "3.1.2"),), ("forked: installed from git, which no advisory names",)),
        ("poetry.lock", POETRY, (("jinja2", "3.1.2"),), ("archive: installed from url, which no advisory names",)),
        ("pdm.lock", "", (), ()),
    ],
)
def test_a_lock_names_its_packages(
    path: str, text: str, pinned: tuple[tuple[str, str], ...], skipped: tuple[str, ...]
) -> None:
    """The project itself is left out; what comes from elsewhere than an index is named as skipped."""
    assert pins_of_lock(path, text) == Pins(pinned, skipped)


@pytest.mark.parametrize("text", ["[[package]]\nversion = '1'", "package = 3", "[[package]]\nname = ", "\x00"])
def test_a_broken_lock_is_refused_in_one_line(text: str) -> None:
    """A lock that cannot be read names itself, never an empty list of packages."""
    with pytest.raises(UnreadableLock, match=r"^uv\.lock cannot be read") as refused:
        pins_of_lock("uv.lock", text)
    assert "\n" not in str(refused.value)


REQUIREMENTS = """
# a comment
-r other.txt
--extra-index-url https://example.org
Jinja2==3.1.2 \\
    --hash=sha256:00
requests[socks]==2.31.0 ; python_version > "3.8"  # why
flask>=2
git+https://example.org/x.git
"""


def test_requirements_name_what_they_pin_and_what_they_do_not() -> None:
    """Exact versions are pins, whatever stands around them; all else is skipped with its reason."""
    pins = pins_of_requirements({"requirements.txt": REQUIREMENTS})
    assert pins.pinned == (("jinja2", "3.1.2"), ("requests", "2.31.0"))
    assert len(pins.skipped) == 2
    assert any("flask: requirements.txt fixes no version" in said for said in pins.skipped)
    assert pins.requirements() == ("jinja2==3.1.2\nrequests==2.31.0\n",)


def test_several_versions_of_a_package_are_files_of_their_own() -> None:
    """A lock that holds a package in two versions gives two requirements files, which together hold every pin."""
    pins = Pins((("idna", "3.10"), ("idna", "3.7"), ("jinja2", "3.1.2"), ("numpy", "1.26"), ("numpy", "2.1")))
    assert pins.requirements() == ("idna==3.10\njinja2==3.1.2\nnumpy==1.26\n", "idna==3.7\nnumpy==2.1\n")
