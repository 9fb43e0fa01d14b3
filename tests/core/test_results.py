"""The gate over a run's checks, and the forms its report takes."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.outcome import Verdict
from tasks.core.rendering import junit, markdown
from tasks.core.results import CheckResult, Report, gate

words = st.text(max_size=40)
results = st.builds(
    CheckResult,
    id=st.from_regex(r"[a-z]{1,8}/[a-z]{1,8}", fullmatch=True),
    verdict=st.sampled_from(Verdict),
    reason=words,
    remedy=words,
    seconds=st.floats(0, 1e6),
    tool=words,
    version=words,
)


def result(verdict: Verdict, check_id: str = "a/b") -> CheckResult:
    return CheckResult(id=check_id, verdict=verdict, reason="why")


def report(checks: tuple[CheckResult, ...]) -> Report:
    decision = gate(checks)
    return Report(
        target="/somewhere",
        name="shop",
        revision="0" * 40,
        dirty=True,
        verdict=decision.verdict,
        reason=decision.reason,
        seconds=1.0,
        started="2026-01-01T00:00:00+00:00",
        checks=checks,
    )


@pytest.mark.parametrize(
    ("verdicts", "expected", "said"),
    [
        ([], Verdict.ERROR, "nothing to check"),
        ([Verdict.SKIPPED], Verdict.ERROR, "every check was skipped"),
        ([Verdict.PASSED, Verdict.SKIPPED], Verdict.PASSED, "1 passed, 1 skipped"),
        ([Verdict.PASSED, Verdict.FAILED], Verdict.FAILED, "1 of 2 checks block: a/b"),
        ([Verdict.ERROR, Verdict.FAILED], Verdict.ERROR, "2 of 2 checks block"),
    ],
)
def test_gate(verdicts: list[Verdict], expected: Verdict, said: str) -> None:
    """A gate passes when something passed and nothing blocks; a run that checked nothing is an error."""
    decision = gate(result(verdict) for verdict in verdicts)

    assert expected == decision.verdict
    assert said in decision.reason


@given(st.lists(results, max_size=6), results)
def test_another_result_never_opens_the_gate(before: list[CheckResult], more: CheckResult) -> None:
    """A gate that blocks stays shut whatever other check that blocks is added."""
    if more.verdict.blocks:
        assert gate([*before, more]).verdict.blocks


@given(st.lists(results, max_size=6))
def test_reports_hold_every_check(checks: list[CheckResult]) -> None:
    """JSON comes back equal, JUnit parses, and each form has every check, whatever characters reasons hold."""
    made = report(tuple(checks))

    assert made == Report.model_validate_json(made.model_dump_json())
    assert len(checks) == len(ElementTree.fromstring(junit(made)).findall("testsuite/testcase"))
    assert len(checks) == sum(line.startswith("| ") and "| check |" not in line for line in markdown(made).splitlines())


def test_what_blocks_comes_first() -> None:
    """The Markdown report opens with what blocks and what to do about it."""
    failed = CheckResult(id="z/z", verdict=Verdict.FAILED, reason="a.py:3: bad", remedy="fix it", log="/log")
    text = markdown(report((result(Verdict.PASSED), failed)))

    assert text.index("a.py:3: bad") < text.index("To do: `fix it`") < text.index("| ✅ | a/b")
