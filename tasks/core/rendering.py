"""A report for readers: Markdown for the artifact and the folder, JUnit XML for other tools."""

from xml.etree import ElementTree

from tasks.core.outcome import Verdict
from tasks.core.results import CheckResult, Report

MARKS = {
    Verdict.PASSED: "✅",
    Verdict.SKIPPED: "⏭️",
    Verdict.INCONCLUSIVE: "❔",
    Verdict.FAILED: "❌",
    Verdict.ERROR: "💥",
}
_ORDER = (Verdict.ERROR, Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PASSED, Verdict.SKIPPED)
# Characters XML 1.0 cannot hold, not even escaped.
_UNSPEAKABLE = {code: "�" for code in range(32) if chr(code) not in "\t\n\r"}


def markdown(report: Report) -> str:
    """The verdict, what blocks and how to fix it, then the table of all checks."""
    blocking = [check for check in in_order(report) if check.verdict.blocks]
    changes = " with changes" if report.dirty else ""
    lines = [
        f"# {MARKS[report.verdict]} CI of {report.name}: {report.verdict}",
        "",
        f"{report.reason}. Revision `{report.revision[:12]}`{changes}, {report.seconds:.1f} s.",
        *[line for check in blocking for line in _paragraph(check)],
        "",
        "| | check | result | seconds | tool |",
        "|---|---|---|---:|---|",
        *[_row(check) for check in in_order(report)],
        "",
        *[f"- {_cell(note)}" for note in report.notes],
        f"- Logs and reports: `{report.folder}`",
    ]
    return "\n".join(lines) + "\n"


def in_order(report: Report) -> list[CheckResult]:
    """What blocks first."""
    return sorted(report.checks, key=lambda check: (_ORDER.index(check.verdict), check.id))


def _paragraph(check: CheckResult) -> list[str]:
    remedy = [f"- To do: `{check.remedy}`"] if check.remedy else []
    return [
        "",
        f"## {MARKS[check.verdict]} {check.id}",
        "",
        _cell(check.reason, 1000),
        *remedy,
        f"- Log: `{check.log}`",
    ]


def _row(check: CheckResult) -> str:
    seconds = "cached" if check.cached else f"{check.seconds:.1f}"
    suites = "; ".join(f"{name}: {count}" for name, count in check.suites.items())
    result = f"{check.reason} ({suites})" if suites else check.reason
    tool = _cell(f"{check.tool} {check.version}")
    return f"| {MARKS[check.verdict]} | {check.id} | {_cell(result)} | {seconds} | {tool} |"


def _cell(text: str, limit: int = 300) -> str:
    flat = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"


def junit(report: Report) -> str:
    """One test case per check, in the form Jenkins and GitLab read."""
    verdicts = [check.verdict for check in report.checks]
    suite = ElementTree.Element(
        "testsuite",
        name=f"towpath {report.flow} {report.name}".translate(_UNSPEAKABLE),
        tests=str(len(verdicts)),
        failures=str(verdicts.count(Verdict.FAILED)),
        errors=str(verdicts.count(Verdict.ERROR)),
        skipped=str(verdicts.count(Verdict.SKIPPED) + verdicts.count(Verdict.INCONCLUSIVE)),
        time=f"{report.seconds:.3f}",
        timestamp=report.started,
    )
    for check in report.checks:
        _case(suite, check)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, check: CheckResult) -> None:
    room, _, name = check.id.partition("/")
    case = ElementTree.SubElement(suite, "testcase", classname=room, name=name, time=f"{check.seconds:.3f}")
    elements = {
        Verdict.FAILED: "failure",
        Verdict.ERROR: "error",
        Verdict.SKIPPED: "skipped",
        Verdict.INCONCLUSIVE: "skipped",
    }
    if element := elements.get(check.verdict):
        message = check.reason.translate(_UNSPEAKABLE)
        ElementTree.SubElement(case, element, message=message).text = check.remedy.translate(_UNSPEAKABLE)
