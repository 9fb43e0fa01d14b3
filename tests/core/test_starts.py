"""Which run a check belongs to, and what is believed when it is asked for again."""

import pytest

from tasks.core.afresh import afresh_among
from tasks.core.origin import Origin
from tasks.core.starts import Start, again, deployment_of_check

RUN = "0a1b2c3d-0000-4000-8000-000000000001"
ORIGIN = Origin(repository="acme/shop", commit="a" * 40, is_trusted=True)
IDS = ("backend/pytest", "backend/coverage", "frontend/web/test", "frontend/api/test", "own/lint")


@pytest.mark.parametrize(
    ("check", "deployment", "asked"),
    [
        ("ci", "ci", {"use_cache": False}),
        ("towpath / ci", "ci", {"use_cache": False}),
        ("towpath / ci (push)", "ci", {"use_cache": False}),
        (f"{RUN}/ci", "ci", {"use_cache": False}),
        ("ci / backend/pytest", "ci", {"afresh": ["backend/pytest"]}),
        ("ci (push) / own/lint", "ci", {"afresh": ["own/lint"]}),
        (f"{RUN}/ci/backend/pytest", "ci", {"afresh": ["backend/pytest"]}),
        ("security / secrets/gitleaks", "security", {"afresh": ["secrets/gitleaks"]}),
        ("pr_checks / pull-request/title", "pr-checks", {}),
        ("Title", "pr-checks", {}),
    ],
)
def test_again(check: str, deployment: str, asked: dict[str, object]) -> None:
    """The flow of a check's name or key is run once more; of the check alone nothing is remembered."""
    before = Start(deployment, {"target": "x", "use_cache": True, "afresh": ["old"]}, ORIGIN)

    assert deployment_of_check(check) == deployment
    assert again(before, check).parameters == {"target": "x", **asked}
    assert again(before, check).key == f"{deployment}-again"


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        ((), ()),
        (("backend/pytest",), ("backend/pytest",)),
        (("PYTEST",), ("backend/pytest",)),
        (("test",), ("frontend/web/test", "frontend/api/test")),
        (("web/test", "own"), ("frontend/web/test", "own/lint")),
        (("est",), IDS),
        (("lint", "unknown"), IDS),
        (("",), IDS),
    ],
)
def test_which_are_meant(names: tuple[str, ...], meant: tuple[str, ...]) -> None:
    """A name means whole parts of ids; one that means nothing has everything done again."""
    assert afresh_among(names, IDS) == set(meant)
