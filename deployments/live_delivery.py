"""What a person sees while a release is delivered: the steps, and of a canary its share, numbers and evidence."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import assert_never

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deployments.saying import say
from tasks.core.approval import ApprovalRequest, Denied, Granted, Refused, Ruling, Waiting
from tasks.core.judgement import CanaryVerdict, Judgement
from tasks.core.records import Ending, Record, Step
from tasks.core.rollout import Rollout
from tasks.core.rollout_words import Phase
from tasks.watching import (
    ApprovalAsked,
    ApprovalHeard,
    CanaryLooked,
    ChangeOpened,
    DeliveryEnded,
    Event,
    ReplayEnded,
    RunStarted,
    StepEnded,
    StepStarted,
)

_DELIVERY = (
    StepStarted | StepEnded | ChangeOpened | CanaryLooked | ApprovalAsked | ApprovalHeard | DeliveryEnded | ReplayEnded
)
_STYLES = {
    CanaryVerdict.WATCHING: "cyan",
    CanaryVerdict.PASS: "green",
    CanaryVerdict.FAIL: "bold red",
    CanaryVerdict.INCONCLUSIVE: "yellow",
    CanaryVerdict.NO_TRAFFIC: "bold yellow",
    CanaryVerdict.METRICS_DOWN: "bold yellow",
    CanaryVerdict.SPLIT_WRONG: "bold yellow",
}
_BAR_CELLS = 24


def delivery_lines(event: _DELIVERY) -> list[str]:
    """An event in words, for logs and pipes."""
    match event:
        case StepStarted():
            return []
        case StepEnded():
            return [step_line(event.step)]
        case ChangeOpened():
            return [f"{event.release.version} to {event.environment}, {event.url}"]
        case CanaryLooked():
            return [look_line(event.judgement, event.rollout)]
        case ApprovalAsked():
            return question_lines(event.request)
        case ApprovalHeard():
            return [f"{event.answer.by}: {event.answer.decision}; {ruling_words(event.ruling)}"]
        case DeliveryEnded():
            return record_lines(event.record)
        case ReplayEnded():
            return event.page.splitlines()
        case _:
            assert_never(event)


def step_line(step: Step) -> str:
    mark = "✓" if step.is_well else "✗"
    return f"{mark} {step.name:22} {step.seconds:6.1f} s  {_short(step.said)}".rstrip()


def look_line(judgement: Judgement, rollout: Rollout) -> str:
    share = f"{rollout.weight:g} %"
    counts = f"canary {judgement.canary_errors} of {judgement.canary_requests}, stable {judgement.stable_errors}"
    harm = f"harm {judgement.harm_wealth:,.3g}:1"
    health = f"health {min(judgement.error_promote_wealth, judgement.latency_promote_wealth):,.3g}:1"
    requests = f"{counts} of {judgement.stable_requests}"
    return f"  {judgement.at:4.0f} s  {share:>5}  {judgement.verdict:12} {requests}  {harm}  {health}"


def question_lines(request: ApprovalRequest) -> list[str]:
    return [
        f"? {request.question}",
        *(f"    {line}" for line in request.evidence),
        f"    towpath approve {request.run[:8]} --by NAME   or   towpath reject {request.run[:8]} --by NAME",
    ]


def ruling_words(ruling: Ruling) -> str:
    match ruling:
        case Granted():
            return "that is enough"
        case Denied():
            return "rejected"
        case Waiting():
            return f"{ruling.missing} more needed"
        case Refused():
            return f"does not count: {ruling.reason}"
        case _:
            assert_never(ruling)


def record_lines(record: Record) -> list[str]:
    mark = {Ending.RELEASED: "✓", Ending.ROLLED_BACK: "✗", Ending.FAILED: "!"}[record.ending]
    remedy = [f"  to do   {record.remedy}"] if record.remedy else []
    where = f"  record  towpath show {record.number} --environment {record.environment} --target {record.target}"
    return [f"{mark} {record.ending}: {record.reason} ({record.seconds:.1f} s)", *remedy, where]


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 160 else f"{flat[:159]}…"


class DeliveryDisplay:
    """The steps so far, and the canary as it stands; redrawn a few times a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._head = ""
        self._steps: list[Step] = []
        self._now: tuple[str, float] | None = None
        self._look: CanaryLooked | None = None
        self._question: ApprovalRequest | None = None
        self._ended: list[str] = []

    def hear(self, event: Event) -> None:
        with self._lock:
            self._hear(event)

    def _hear(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._head = event.url
            case ChangeOpened():
                self._head = f"{event.release.version} to {event.environment}  {event.url}  {self._head}"
            case StepStarted():
                self._now = event.name, time.monotonic()
            case StepEnded():
                self._steps.append(event.step)
                self._now = None
            case CanaryLooked():
                self._look = event
            case ApprovalAsked():
                self._question = event.request
            case ApprovalHeard(ruling=Granted() | Denied()):
                self._question = None
            case DeliveryEnded() | ReplayEnded():
                self._question, self._ended = None, delivery_lines(event)
            case _:
                pass

    def render(self) -> RenderableType:
        with self._lock:
            parts: list[RenderableType] = [Text(self._head, "dim"), *map(_step_text, self._steps)]
            if self._now:
                parts.append(Text(f"▸ {self._now[0]:22} {time.monotonic() - self._now[1]:6.0f} s", "cyan"))
            if self._look:
                parts.append(canary_table(self._look.judgement, self._look.rollout))
            if self._question:
                parts += [Text(line, "bold") for line in question_lines(self._question)]
                parts.append(Text("    or here: y or n, a reason if you like, and Enter", "bold cyan"))
            return Group(*parts)

    def conclude(self) -> None:
        for part in map(_step_text, self._steps):
            self._console.print(part)
        if self._look:
            self._console.print(canary_table(self._look.judgement, self._look.rollout))
        for line in self._ended:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _step_text(step: Step) -> Text:
    return Text(step_line(step), "" if step.is_well else "red", no_wrap=True, overflow="ellipsis")


def canary_table(judgement: Judgement, rollout: Rollout) -> Table:
    """Share, verdict, requests and the two wealths as bars on the way to what decides."""
    table = Table(box=None, padding=(0, 1), show_header=False)
    left = max(0.0, rollout.window_seconds - judgement.at)
    waiting = "waits for approval" if rollout.phase is Phase.ASKING else f"{left:.0f} s of the window left"
    table.add_row("canary", f"{rollout.weight:g} % of the traffic, {judgement.at:.0f} s, {waiting}")
    table.add_row("verdict", Text(f"{judgement.verdict}: {judgement.reason}", _STYLES[judgement.verdict]))
    table.add_row("requests", _requests(judgement))
    health = min(judgement.error_promote_wealth, judgement.latency_promote_wealth)
    table.add_row("harm", Text(f"{_bar(judgement.harm_wealth, 50)} {judgement.harm_wealth:,.3g}:1", "red"))
    table.add_row("health", Text(f"{_bar(health, 20)} {health:,.3g}:1", "green"))
    return table


def _requests(judgement: Judgement) -> str:
    canary = f"canary {judgement.canary_errors:,} errors of {judgement.canary_requests:,}"
    return f"{canary}, stable {judgement.stable_errors:,} of {judgement.stable_requests:,}"


def _bar(wealth: float, needed: float) -> str:
    """Odds on a logarithmic scale, full where they decide."""
    part = math.log(max(1.0, wealth)) / math.log(needed)
    cells = min(_BAR_CELLS, round(part * _BAR_CELLS))
    return "█" * cells + "░" * (_BAR_CELLS - cells)


@contextmanager
def make_delivery_display(*, is_plain: bool) -> Iterator["DeliveryDisplay | PlainDelivery"]:
    console = Console()
    if is_plain or not console.is_terminal:
        yield PlainDelivery()
        return
    shown = DeliveryDisplay(console)
    with Live(get_renderable=shown.render, console=console, refresh_per_second=6, transient=True):
        yield shown
    shown.conclude()


class PlainDelivery:
    """One line per event, with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def hear(self, event: Event) -> None:
        lines = [f"run {event.url}"] if isinstance(event, RunStarted) else []
        if isinstance(event, _DELIVERY):
            lines = delivery_lines(event)
        for line in lines:
            say(f"{time.monotonic() - self._began:7.1f} s  {line}")
