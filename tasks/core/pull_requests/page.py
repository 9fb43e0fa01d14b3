"""The pull request's report for readers: what failed and how to fix it, then all checks, then the benchmarks.

It is also what the one comment on the pull request holds, so it never grows beyond what a forge takes.
"""

from collections.abc import Iterator

from tasks.core.prose import cell
from tasks.core.pull_requests.report import PullRequestReport
from tasks.core.rendering import MARKS, in_order
from tasks.core.results import CheckResult, Place

# GitHub refuses a comment of more than 65,536 characters.
MOST_CHARACTERS = 60_000
_PLACES = 10
_FIGURES = 40


def pull_request_page(report: PullRequestReport) -> str:
    """Markdown, for the artifact, the folder and the comment."""
    blocking = [check for check in in_order(report) if check.verdict.blocks]
    against = f"`{report.base[:12]}`" + (f" ({cell(report.base_branch)})" if report.base_branch else "")
    lines = [
        f"# {MARKS[report.verdict]} Checks of the pull request: {report.verdict}",
        "",
        f"{cell(report.reason)}. `{report.revision[:12]}` against {against}, {report.seconds:.1f} s.",
        *[line for check in blocking for line in _paragraph(check)],
        "",
        "| | check | result |",
        "|---|---|---|",
        *[_row(check) for check in in_order(report)],
        *_benchmarks(report),
        *_rest(report),
    ]
    return _cut("\n".join(lines) + "\n")


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    rest = "\n\n… cut here; the whole is in the run's report.json.\n"
    kept = text[: MOST_CHARACTERS - len(rest)]
    return kept[: kept.rfind("\n")] + rest


def _paragraph(check: CheckResult) -> Iterator[str]:
    yield from ("", f"## {MARKS[check.verdict]} {check.id}", "", cell(check.reason, 1500))
    if check.remedy:
        yield f"\nTo fix it: `{_code(check.remedy)}`"
    if check.problems:
        yield ""
        yield from (_place(place) for place in check.problems[:_PLACES])
    if len(check.problems) > _PLACES:
        yield f"- and {len(check.problems) - _PLACES} more"


def _code(text: str) -> str:
    return cell(text, 500).replace("`", "'").replace("&lt;", "<").replace("\\|", "|")


def _place(place: Place) -> str:
    line = f":{place.line}" if place.line else ""
    return f"- `{_code(place.path)}{line}` {cell(place.message, 300)}"


def _row(check: CheckResult) -> str:
    told = "; ".join(f"{name}: {said}" for name, said in check.suites.items())
    said = f"{check.reason} ({told})" if told else check.reason
    return f"| {MARKS[check.verdict]} | {check.id} | {cell(said, 600)} |"


def _benchmarks(report: PullRequestReport) -> Iterator[str]:
    if not report.benchmarks:
        return
    yield from ("", "| benchmark | base | head | ratio | interval | |", "|---|---:|---:|---:|---|---|")
    for each in sorted(report.benchmarks, key=lambda figure: -figure.ratio)[:_FIGURES]:
        times = f"{each.base_seconds * 1e3:.3g} ms | {each.head_seconds * 1e3:.3g} ms"
        span = f"{each.low:.3f} to {each.high:.3f}"
        yield f"| {cell(each.name, 120)} | {times} | {each.ratio:.3f} | {span} | {each.speed} |"


def _rest(report: PullRequestReport) -> Iterator[str]:
    gaps = [(check.id, gap) for check in report.checks for gap in check.gaps]
    if gaps:
        yield from ("", "Worth a second look:", "")
        yield from (_place(gap) for _, gap in gaps[:20])
    yield ""
    if report.labels:
        yield f"- Labels: {', '.join(f'`{_code(label)}`' for label in report.labels)}"
    yield from (f"- {cell(note, 600)}" for note in report.notes)
