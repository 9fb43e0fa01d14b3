"""What a person sees while a run goes: a live table on a terminal, one line per event elsewhere, and the verdict.

The display hears events from the flow's thread and never holds it up.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deployments.live_delivery import delivery_lines
from deployments.saying import say
from tasks.core.outcome import Verdict
from tasks.core.plan import PlannedCheck
from tasks.core.rendering import in_order
from tasks.core.results import CheckResult, Report
from tasks.core.security.report import SecurityReport
from tasks.watching import CheckEnded, CheckStarted, Event, Planned, Preparing, RunEnded, RunStarted

_SHOWN_FINDINGS = 20
_LOOKS = {
    Verdict.PASSED: ("✓", "green"),
    Verdict.SKIPPED: ("-", "yellow"),
    Verdict.INCONCLUSIVE: ("?", "bold yellow"),
    Verdict.FAILED: ("✗", "bold red"),
    Verdict.ERROR: ("!", "bold magenta"),
}


class Display(Protocol):
    """Whoever shows a run."""

    def hear(self, event: Event) -> None: ...


@contextmanager
def make_display(*, is_plain: bool, title: str = "CI") -> Iterator[Display]:
    console = Console()
    if is_plain or not console.is_terminal:
        yield LineDisplay()
        return
    table = TableDisplay(console, title)
    with Live(get_renderable=table.render, console=console, refresh_per_second=8, transient=True):
        yield table
    table.conclude()


class LineDisplay:
    """For logs: each event once, with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def hear(self, event: Event) -> None:
        for line in event_lines(event):
            say(f"{time.monotonic() - self._began:7.1f} s  {line}")
        if isinstance(event, RunEnded):
            for line in report_lines(event.report):
                say(line)


class TableDisplay:
    """For people: every check with its state, redrawn a few times a second."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._lock = threading.Lock()
        self._planned: tuple[PlannedCheck, ...] = ()
        self._started: dict[str, float] = {}
        self._results: dict[str, CheckResult] = {}
        self._preparing: dict[str, float] = {}
        self._run: RunStarted | None = None
        self._report: Report | None = None

    def hear(self, event: Event) -> None:
        with self._lock:
            match event:
                case RunStarted():
                    self._run = event
                case Planned():
                    known = {check.id: check for check in (*self._planned, *event.plan.checks)}
                    self._planned = tuple(known[name] for name in sorted(known))
                case Preparing():
                    self._prepare(event)
                case CheckStarted():
                    self._started[event.id] = time.monotonic()
                case CheckEnded():
                    self._results[event.result.id] = event.result
                case RunEnded():
                    self._report = event.report

    def _prepare(self, event: Preparing) -> None:
        if event.seconds is None:
            self._preparing[event.environment] = time.monotonic()
        else:
            self._preparing.pop(event.environment, None)

    def render(self) -> RenderableType:
        with self._lock:
            rows = [self._row(check) for check in self._planned]
            waits = [f"installing {name} ({time.monotonic() - at:.0f} s)" for name, at in self._preparing.items()]
            head = Text(f"{self._title}  {self._run.url if self._run else 'starting'}", style="dim")
        table = _table(rows)
        return Group(head, table, *[Text(wait, style="cyan") for wait in waits])

    def _row(self, check: PlannedCheck) -> tuple[Text, ...]:
        if result := self._results.get(check.id):
            return result_row(result)
        if at := self._started.get(check.id):
            return Text("▸", "cyan"), Text(check.id, "cyan"), Text(f"{time.monotonic() - at:.0f} s", "cyan"), Text("")
        return Text("·", "dim"), Text(check.id, "dim"), Text(""), Text("")

    def conclude(self) -> None:
        if self._report is None:
            return
        rows = [result_row(result) for result in sorted(self._report.checks, key=lambda check: check.id)]
        self._console.print(_table(rows))
        for line in report_lines(self._report):
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(rows: Iterable[tuple[Text, ...]]) -> Table:
    """Rows of mark, name, time and note, the note cut at the terminal's edge."""
    table = Table(box=None, padding=(0, 1), show_header=False)
    for is_note in (False, False, False, True):
        # NOTE: only a column that may wrap is narrowed; the note itself does not wrap, and so is cut.
        table.add_column(no_wrap=not is_note)
    for row in rows:
        table.add_row(*row)
    return table


def result_row(result: CheckResult) -> tuple[Text, ...]:
    mark, style = _LOOKS[result.verdict]
    seconds = "cached" if result.cached else f"{result.seconds:.1f} s" if result.seconds else ""
    version = result.version.partition(" (")[0]
    note = f"{result.tool} {version}".strip() if result.verdict is Verdict.PASSED else result.reason
    shown = Text(shorten(note, 200), "dim", no_wrap=True, overflow="ellipsis")
    return Text(mark, style), Text(result.id), Text(seconds, "dim"), shown


def shorten(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"


def event_lines(event: Event) -> list[str]:
    match event:
        case RunStarted():
            return [f"run {event.url}"]
        case Planned():
            return [f"{len(event.plan.checks)} checks, {len(event.plan.environments)} environments"]
        case Preparing(seconds=None):
            return []
        case Preparing():
            return [f"{'reused' if event.is_reused else 'installed'} {event.environment} in {event.seconds:.1f} s"]
        case CheckStarted():
            return []
        case CheckEnded():
            mark, _ = _LOOKS[event.result.verdict]
            seconds = "cached" if event.result.cached else f"{event.result.seconds:.1f} s"
            reason = shorten(event.result.reason, 160)
            return [f"{mark} {event.result.id:24} {event.result.verdict:8} {seconds:>8}  {reason}"]
        case RunEnded():
            return []
        case _:
            return delivery_lines(event)


def report_lines(report: Report) -> list[str]:
    """What blocks, why and what to do; then the verdict and where to look."""
    blocking = [check for check in in_order(report) if check.verdict.blocks]
    details = [line for check in blocking for line in _block(check)]
    mark, _ = _LOOKS[report.verdict]
    where = f"report  {report.folder}/report.md", f"run     {report.run}"
    verdict = f"{mark} {report.verdict}: {report.reason} ({report.seconds:.1f} s)"
    return [*_gaps(report), *details, *_findings(report), "", verdict, *where]


def _gaps(report: Report) -> list[str]:
    """What nobody looked at, before anything else."""
    if not isinstance(report, SecurityReport) or not report.not_covered:
        return []
    return ["", "not covered:", *[f"    {gap.what}: {gap.why}; {gap.remedy}" for gap in report.not_covered]]


def _findings(report: Report) -> list[str]:
    if not isinstance(report, SecurityReport):
        return []
    shown = [each for each in report.findings if each.blocks][:_SHOWN_FINDINGS]
    lines = [f"    {each.severity:8} {each.id}  {each.location}  {shorten(each.title, 100)}" for each in shown]
    notes = [f"    {problem}" for problem in report.waiver_problems]
    return [*(["", "findings that block:", *lines] if lines else []), *(["", "waivers:", *notes] if notes else [])]


def _block(check: CheckResult) -> list[str]:
    remedy = [f"    to do   {check.remedy}"] if check.remedy else []
    log = [f"    log     {check.log}"] if check.log else []
    return ["", f"{_LOOKS[check.verdict][0]} {check.id} {check.verdict}", f"    {check.reason}", *remedy, *log]
