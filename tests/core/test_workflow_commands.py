"""What a runner is told, by tables, and that nothing can pass as a command."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.core.forge.workflow_commands import commands_of, deaf, hearing
from tasks.core.outcome import Verdict
from tasks.core.results import CheckResult, Place
from tests.core.test_forge import report


def failed(*places: Place) -> CheckResult:
    return CheckResult(id="backend/ruff", verdict=Verdict.FAILED, reason="bad", problems=places)


def test_places_and_bare_reasons_are_told() -> None:
    """A place is told at its line, a check without places by its reason, a passed one not at all."""
    broken = CheckResult(id="backend/mypy", verdict=Verdict.ERROR, reason="it hangs\nfor ever")
    passed = CheckResult(id="backend/x", verdict=Verdict.PASSED, reason="fine")
    lines = list(
        commands_of(report(failed(Place(path="a,b.py", line=3, message="100% wrong", code="E1")), broken, passed))
    )
    assert lines == [
        "::error title=backend/mypy::it hangs%0Afor ever",
        "::error file=a%2Cb.py,line=3,title=backend/ruff E1::100%25 wrong",
    ]


def test_more_than_a_runner_shows_is_said() -> None:
    """Of twelve problems ten are told, and that there are two more."""
    lines = list(commands_of(report(failed(*(Place(path="a.py", line=n, message="m") for n in range(1, 13))))))
    assert len([line for line in lines if line.startswith("::error")]) == 10
    assert "2 more" in lines[-1]


@given(st.text(), st.text(), st.text())
def test_nothing_begins_a_line_of_its_own(path: str, message: str, code: str) -> None:
    """Whatever a tool says, each command is one line that begins as we began it."""
    for line in commands_of(report(failed(Place(path=path, line=1, message=message, code=code)))):
        assert "\n" not in line
        assert "\r" not in line
        assert line.startswith(("::error file=", "::error title=", "::notice "))


def test_a_stretch_begins_and_ends_by_its_token() -> None:
    """Only whoever knows the token can make the runner hear again."""
    assert (deaf("t0ken"), hearing("t0ken")) == ("::stop-commands::t0ken", "::t0ken::")
