"""Verdicts, the worst of them, and the exit codes commands end with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.outcome import ExitCode, Verdict, exit_code, worst

verdicts = st.sampled_from(Verdict)


def test_published_names() -> None:
    """The verdicts' names and order are a contract with everything that reads reports."""
    assert [verdict.value for verdict in Verdict] == ["passed", "skipped", "inconclusive", "failed", "error"]
    assert [verdict.rank for verdict in Verdict] == [0, 1, 2, 3, 4]


@given(verdicts, verdicts, verdicts)
def test_worst_is_a_semilattice(first: Verdict, second: Verdict, third: Verdict) -> None:
    """The worst of several does not depend on order, grouping or repetition."""
    assert worst([first, second]) == worst([second, first])
    assert worst([first, worst([second, third])]) == worst([worst([first, second]), third])
    assert worst([first, first]) == first


@given(st.lists(verdicts, min_size=1), verdicts)
def test_another_check_never_improves_a_gate(before: list[Verdict], more: Verdict) -> None:
    """Adding a check never makes the worst verdict better."""
    assert worst([*before, more]).rank >= worst(before).rank


def test_nothing_is_an_error() -> None:
    """A gate that saw no verdict at all has not passed."""
    assert worst([]) == Verdict.ERROR


@pytest.mark.parametrize(
    ("verdict", "code", "blocks"),
    [
        (Verdict.PASSED, ExitCode.PASSED, False),
        (Verdict.SKIPPED, ExitCode.PASSED, False),
        (Verdict.INCONCLUSIVE, ExitCode.PASSED, False),
        (Verdict.FAILED, ExitCode.FAILED, True),
        (Verdict.ERROR, ExitCode.ERROR, True),
    ],
)
def test_exit_codes(verdict: Verdict, code: ExitCode, blocks: bool) -> None:
    """Only what blocks exits with something else than 0, and an error is told from a failure."""
    assert code == exit_code(verdict)
    assert blocks is verdict.blocks
