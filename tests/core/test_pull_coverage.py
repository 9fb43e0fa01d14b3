"""Coverage of a pull request, from the Cobertura reports of head and base."""

import pytest

from tasks.core.outcome import Verdict
from tasks.core.pull_requests.settings import ChangedCoverageSettings
from tasks.core.pull_requests.tested_lines import Recorded, judge_coverage, read_hits
from tasks.core.results import CheckResult
from tasks.core.tools.contract import Unreadable
from tests.core.pull_changes import change_of, changed

REPORT = """<coverage><sources><source>{source}</source></sources><packages><package><classes>
<class filename="a.py"><lines>{lines}</lines></class></classes></package></packages></coverage>"""


def report(covered: int, missed: int, source: str = "src") -> str:
    lines = [f'<line number="{number}" hits="{int(number <= covered)}"/>' for number in range(1, covered + missed + 1)]
    return REPORT.format(source=source, lines="".join(lines))


def judged(head: str | None, base: str | None, *, lines: int = 10) -> CheckResult:
    change = change_of(changed("src/a.py", lines))
    now, before = (
        Recorded(name * 40, None if text is None else read_hits([text])) for name, text in (("a", head), ("b", base))
    )
    return judge_coverage(change, now, before, ChangedCoverageSettings(), target="my repo", check_id="x")


@pytest.mark.parametrize(
    ("head", "base", "lines", "verdict", "words"),
    [
        (report(80, 20), report(80, 20), 10, Verdict.PASSED, "80.0 % in all"),
        (report(69, 31), report(69, 31), 10, Verdict.FAILED, "below 70 %"),
        (report(80, 20), report(81, 19), 10, Verdict.FAILED, "1.0 points less"),
        (report(800, 200), report(805, 195), 10, Verdict.PASSED, "80.0 %"),
        (report(80, 20), report(80, 20), 0, Verdict.PASSED, "no changed line is measured"),
        (report(80, 40), report(66, 34), 120, Verdict.FAILED, "66.7 % of 120 changed lines"),
        (None, report(80, 20), 10, Verdict.ERROR, "the pull request"),
        (report(80, 20), None, 10, Verdict.ERROR, "the base"),
        (report(0, 0), report(80, 20), 10, Verdict.ERROR, "measured no line"),
    ],
)
def test_verdicts(head: str | None, base: str | None, lines: int, verdict: Verdict, words: str) -> None:
    """Total, changed lines and the drop each have their limit, and a report that is missing is an error."""
    result = judged(head, base, lines=lines)

    assert result.verdict is verdict
    assert words in result.reason
    assert verdict is not Verdict.ERROR or result.remedy.startswith("towpath ci 'my repo' --ref ")


def test_uncovered_changed_lines_are_places() -> None:
    """Neighbouring lines that no test reaches are one place at the first of them."""
    result = judged(report(3, 7), report(3, 7))

    assert [(place.path, place.line) for place in result.problems] == [("src/a.py", 4)]


def test_prose_needs_no_coverage() -> None:
    """A change of files that no test could cover is skipped, also when there is no report."""
    nothing = Recorded("a" * 40, None)
    result = judge_coverage(change_of("a.md"), nothing, nothing, ChangedCoverageSettings(), target=".", check_id="x")

    assert result.verdict is Verdict.SKIPPED


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("/h/targets/x/slot-0/tree/back/src", "back/src/a.py"),
        ("/h/slot-1/tree", "a.py"),
        ("src", "src/a.py"),
        (".", "a.py"),
    ],
)
def test_paths_are_the_targets(source: str, path: str) -> None:
    """Whichever snapshot a report was measured in, its paths are those of the repository."""
    assert [name for name, lines in read_hits([report(1, 1, source)]).items() if lines] == [path]


def test_a_truncated_report_is_unreadable() -> None:
    """Half a report is none."""
    with pytest.raises(Unreadable):
        read_hits([report(3, 3)[:80]])
