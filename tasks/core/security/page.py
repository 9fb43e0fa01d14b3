"""The security report for readers: what nobody looked at first, then the findings by category, then the scanners."""

from collections.abc import Iterator
from datetime import date

from tasks.core.prose import cell
from tasks.core.rendering import MARKS, in_order
from tasks.core.security.findings import Finding
from tasks.core.security.report import SecurityReport
from tasks.core.security.sightings import Category
from tasks.core.security.waivers import suggested_waiver

_TITLES = {
    Category.DEPENDENCY: "Dependencies",
    Category.CODE: "Code",
    Category.CONTAINER: "Images",
    Category.SECRET: "Secrets",
    Category.INFRASTRUCTURE: "Infrastructure",
}
# More rows than anybody reads; the whole list is in report.json and in the SARIF.
_ROWS = 50
_SUGGESTED = 3


def security_page(report: SecurityReport) -> str:
    """Markdown, for the artifact and the folder."""
    changes = " with changes" if report.dirty else ""
    against = f" against `{report.base[:12]}`" if report.base else ""
    lines = [
        *gap_lines(report),
        f"# {MARKS[report.verdict]} Security of {report.name}: {report.verdict}",
        "",
        f"{report.reason}. Revision `{report.revision[:12]}`{changes}{against}, {report.seconds:.1f} s.",
        *_findings(report),
        *_waivers(report),
        *_scanners(report),
        *_rest(report),
    ]
    return "\n".join(lines) + "\n"


def gap_lines(report: SecurityReport) -> list[str]:
    """What every report, artifact and comment opens with."""
    if not report.not_covered:
        return []
    rows = [f"> - **{gap.what}**: {cell(gap.why)}. To cover it: {cell(gap.remedy)}" for gap in report.not_covered]
    return ["> ⚠️ **Not covered by this scan:**", *rows, ""]


def _findings(report: SecurityReport) -> Iterator[str]:
    for category in Category:
        found = [finding for finding in report.findings if finding.category is category]
        if found:
            yield from ("", f"## {_TITLES[category]}: {len(found)}", "")
            yield from ("| | severity | finding | where | scanners | status |", "|---|---|---|---|---|---|")
            yield from (_row(finding) for finding in found[:_ROWS])
            if len(found) > _ROWS:
                yield f"\n{len(found) - _ROWS} more are in report.json."


def _row(finding: Finding) -> str:
    mark = "❌" if finding.blocks else "·"
    fix = f" ({cell(finding.remedy, 120)})" if finding.remedy else ""
    title = (
        f"[{cell(finding.title, 160)}]({finding.url})" if finding.url.startswith("https://") else cell(finding.title)
    )
    parts = (
        mark,
        finding.severity,
        f"`{finding.id}` {title}{fix}",
        f"`{cell(finding.location, 120)}`",
        ", ".join(finding.scanners),
        f"{finding.status}{f': {cell(finding.why, 120)}' if finding.why else ''}",
    )
    return f"| {' | '.join(parts)} |"


def _waivers(report: SecurityReport) -> Iterator[str]:
    """What a person would write to accept the first findings that block; owner and reason are left to that person."""
    blocking = [finding for finding in report.findings if finding.blocks][:_SUGGESTED]
    if blocking:
        day = date.fromisoformat(report.started[:10])
        yield from (
            "",
            "Mend them; or accept one until a date, with an owner and a reason, in `.towpath/waivers.toml`:",
            "",
        )
        yield from ("```toml", *(suggested_waiver(finding, today=day) for finding in blocking), "```")


def _scanners(report: SecurityReport) -> Iterator[str]:
    yield from (
        "",
        "## Scanners",
        "",
        "| | scan | result | seconds | scanner | evidence |",
        "|---|---|---|---:|---|---|",
    )
    for check in in_order(report):
        seconds = "cached" if check.cached else f"{check.seconds:.1f}"
        evidence = "; ".join(f"{name}: {said}" for name, said in check.suites.items())
        remedy = f" To do: {check.remedy}" if check.verdict.blocks and check.remedy else ""
        said = cell(f"{check.reason}.{remedy}" if remedy else check.reason)
        tool = cell(f"{check.tool} {check.version}")
        yield f"| {MARKS[check.verdict]} | {check.id} | {said} | {seconds} | {tool} | {cell(evidence, 400)} |"


def _rest(report: SecurityReport) -> Iterator[str]:
    yield ""
    if report.fixed:
        yield f"- Fixed since the base: {', '.join(f'`{name}`' for name in report.fixed[:20])}"
    yield from (f"- Waiver: {cell(problem)}" for problem in report.waiver_problems)
    yield from (f"- {cell(note, 600)}" for note in report.notes)
    yield f"- Logs, SARIF and bills of materials: `{report.folder}`"
