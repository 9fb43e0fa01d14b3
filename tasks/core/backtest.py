"""A canary policy over the recorded metrics of past canaries: what it would have decided, and when.

The same judge and the same rollout machine as in production decide, on the snapshots as they were taken. What cannot
be known is said: after the share that was really set, or after the real canary ended, there are no metrics, and a
policy that would have gone on is `undecided` there.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.core.canary_log import CanaryLog
from tasks.core.canary_settings import CanarySettings
from tasks.core.counters import Snapshot
from tasks.core.judge import Judge
from tasks.core.judgement import Judgement
from tasks.core.prose import cell
from tasks.core.rollout import Rollout, advance
from tasks.core.rollout_words import Action, Began, Event, ExtendWindow, Happening, Judged, Phase, Placed, Ticked


@dataclass(frozen=True)
class Replayed:
    """What a policy would have decided beside what happened; `after_seconds` since the canary got traffic."""

    version: str
    stable: str
    started: str
    happened: Phase
    happened_after_seconds: float | None
    happened_why: str
    decided: str
    after_seconds: float
    why: str
    last: Judgement | None

    @property
    def agrees(self) -> bool:
        """Whether the policy would have gone the same way as far as it could be followed."""
        return self.decided == _WORDS.get(self.happened, "undecided")


@dataclass(frozen=True)
class Backtest:
    """Recorded canaries under some rules; `unreadable` is how many recordings could not be read."""

    replayed: tuple[Replayed, ...]
    unreadable: int = 0

    @property
    def agreeing(self) -> int:
        return sum(each.agrees for each in self.replayed)


_WORDS = {Phase.PROMOTED: "pass", Phase.ROLLED_BACK: "roll back"}


class _Course:
    """One replay: the judge, the machine, and the number of the next event."""

    def __init__(self, settings: CanarySettings, head: CanaryLog, history: tuple[Snapshot, ...]) -> None:
        self.judge = Judge(settings.policy(has_latency=head.has_latency), history)
        self.rollout = Rollout(plan=settings.plan(needs_approval=True, approval_seconds=float("inf")))
        self.last: Judgement | None = None
        self._number = 0

    def happen(self, what: Happening, at: float) -> None:
        self._number += 1
        self.rollout, actions = advance(self.rollout, Event(self._number, what), at)
        for action in actions:
            self._do(action)

    def _do(self, action: Action) -> None:
        if isinstance(action, ExtendWindow):
            self.judge.extend(action.until_seconds)

    def look(self, snapshot: Snapshot) -> None:
        self.last = self.judge.observe(snapshot)
        self.happen(Judged(self.last.verdict, self.last.reason), snapshot.at)
        self.happen(Ticked(), snapshot.at)


def replay(head: CanaryLog, snapshots: Iterable[Snapshot], settings: CanarySettings | None = None) -> Replayed:
    """One recorded canary under the settings given, by default those it ran with."""
    all_of_it = tuple(snapshots)
    history = tuple(each for each in all_of_it if each.at < 0)
    course = _Course(settings or head.settings, head, history)
    course.happen(Began(), 0.0)
    course.happen(Placed(), 0.0)
    at = 0.0
    for snapshot in (each for each in all_of_it if each.at >= 0):
        if course.rollout.phase is not Phase.WATCHING:
            break
        at = snapshot.at
        course.look(snapshot)
    return _told(head, course, at)


def _told(head: CanaryLog, course: _Course, at: float) -> Replayed:
    match course.rollout.phase:
        case Phase.ASKING | Phase.SCALING:
            decided, why = "pass", course.rollout.why
        case Phase.UNDOING | Phase.ROLLED_BACK:
            decided, why = "roll back", course.rollout.why
        case _:
            decided, why = "undecided", course.last.reason if course.last else "there are no snapshots"
    return Replayed(
        version=head.release.version,
        stable=head.stable,
        started=head.started,
        happened=head.phase,
        happened_after_seconds=head.ended_after_seconds,
        happened_why=head.why,
        decided=decided,
        after_seconds=at,
        why=why,
        last=course.last,
    )


def replay_page(backtest: Backtest, *, environment: str, rules: str) -> str:
    """Markdown: one line for each canary, and what is missing."""
    rows = [
        f"| {each.started} | {each.version} beside {each.stable or 'nothing'} | {each.happened}{_after(each)} "
        f"| {each.decided} after {each.after_seconds:.0f} s | {'yes' if each.agrees else 'no'} | {cell(each.why)} |"
        for each in backtest.replayed
    ]
    missing = (
        ["", f"{backtest.unreadable} recordings could not be read and are missing here."] if backtest.unreadable else []
    )
    head = "| canary | release | what happened | these rules | same way | why |"
    title = [f"# Past canaries of {environment} judged by {rules}", ""]
    return "\n".join([*title, head, "|---|---|---|---|---|---|", *rows, *missing]) + "\n"


def _after(each: Replayed) -> str:
    return f" after {each.happened_after_seconds:.0f} s" if each.happened_after_seconds is not None else ""
