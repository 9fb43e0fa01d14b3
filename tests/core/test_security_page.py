"""The security report for readers: what nobody looked at stands first, and nothing in it can break the page."""

from tasks.core.outcome import Verdict
from tasks.core.results import CheckResult
from tasks.core.security.findings import Finding, Status
from tasks.core.security.page import security_page
from tasks.core.security.report import Gap, SecurityReport, check_of, unscanned_id
from tasks.core.security.results import ScanResult
from tasks.core.security.sightings import Category, Severity


def finding(number: int, *, blocks: bool = True, title: str = "wrong") -> Finding:
    return Finding(
        id=f"code/CWE-{number}/abc",
        category=Category.CODE,
        severity=Severity.HIGH,
        title=title,
        location="a.py:1",
        scanners=("bandit",),
        status=Status.OPEN,
        blocks=blocks,
        url="https://example.org/rule",
    )


def report(*findings: Finding, gaps: tuple[Gap, ...] = ()) -> SecurityReport:
    check = CheckResult(id="code/bandit", verdict=Verdict.FAILED, reason="1 block", suites={"known finding": "found"})
    return SecurityReport(
        target="shop",
        name="shop",
        revision="c0ffee" * 6,
        dirty=False,
        verdict=Verdict.FAILED,
        reason="it blocks",
        seconds=1.0,
        started="2026-11-25T00:00:00+00:00",
        checks=(check,),
        not_covered=gaps,
        findings=findings,
    )


def test_what_is_not_covered_opens_the_page() -> None:
    """The first line speaks of gaps, each with why and how to close it; without any it is the verdict."""
    gap = Gap(what="code/codeql", why="codeql is not here", remedy="install it")
    first, second, *_ = security_page(report(gaps=(gap,))).splitlines()
    assert "Not covered" in first
    assert "code/codeql" in second
    assert "install it" in second
    assert security_page(report()).startswith("# ❌ Security of shop: failed")


def test_a_table_for_each_category_that_has_findings() -> None:
    """Categories without findings have no table; the evidence of each scanner is there."""
    page = security_page(report(finding(78)))
    assert "## Code: 1" in page
    assert "## Secrets" not in page
    assert "known finding: found" in page


def test_hostile_words_stay_in_their_cell() -> None:
    """A title with table bars, markup and line breaks cannot add a row or an element."""
    page = security_page(report(finding(78, title="a | b\n| c | <script>alert(1)</script>")))
    assert "<script>" not in page
    assert len([line for line in page.splitlines() if "CWE-78" in line and line.startswith("|")]) == 1


def test_a_long_list_is_cut_and_said_to_be() -> None:
    """Nobody reads a thousand rows, and nobody must think that those shown are all."""
    page = security_page(report(*[finding(number) for number in range(60)]))
    assert "10 more are in report.json" in page


def test_findings_that_block_come_with_a_waiver_to_fill_in() -> None:
    """The waiver names the finding and leaves owner and reason to a person."""
    page = security_page(report(finding(78)))
    assert 'identity = "code/CWE-78/abc"' in page
    assert 'owner = ""' in page
    assert "waivers.toml" not in security_page(report(finding(78, blocks=False)))


def scan(**changes: object) -> ScanResult:
    done = ScanResult(id="code/bandit", scanner="bandit", verdict=Verdict.PASSED, reason="done", looked_at=3)
    return done.model_copy(update=changes)


def test_a_scan_is_a_check() -> None:
    """Done and clean passes, a finding that blocks fails, something unscanned is an error that names its waiver."""
    assert check_of(scan()).verdict is Verdict.PASSED
    assert check_of(scan(), (finding(78),)).verdict is Verdict.FAILED
    unscanned = check_of(scan(), (finding(78),), ("broken.py: it cannot be parsed",))
    assert unscanned.verdict is Verdict.ERROR
    assert unscanned_id("bandit", "broken.py: it cannot be parsed") in unscanned.remedy
    assert check_of(scan(verdict=Verdict.ERROR, reason="gone")).verdict is Verdict.ERROR
