"""The rollout of a canary, as a machine without a clock, a platform or a network.

It answers one question: given what has happened, what is to be done now. `advance` takes a state, an event and the
time, and gives the next state and the actions that lead there; whoever drives it performs them and reports back with
events. Events are numbered, and one that was seen already changes nothing.

What must never happen: the share of the canary rises without a verdict that allows it (or a person's word, where the
evidence was put before that person), it rises while there is nothing to judge by, a rollout ends at any share but 0 or
100, or there is a state from which it cannot be aborted.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from tasks.core.judgement import CanaryVerdict
from tasks.core.rollout_plan import Otherwise, RolloutPlan
from tasks.core.rollout_words import (
    AbortAsked,
    Action,
    Approved,
    Ask,
    Began,
    Event,
    ExtendWindow,
    Happening,
    Judged,
    Phase,
    Place,
    Placed,
    Question,
    Rejected,
    Remove,
    Removed,
    ScaledUp,
    ScaleUp,
    SetWeight,
    TakeOver,
    Ticked,
    TookOver,
    WithdrawQuestion,
)


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Where a rollout stands. `weight` is in percent; times are seconds on the caller's clock."""

    plan: RolloutPlan
    phase: Phase = Phase.PLANNED
    weight: float = 0.0
    step: int = 0
    step_since: float = 0.0
    watched_since: float = 0.0
    window_seconds: float = 0.0
    question: Question | None = None
    asked_since: float = 0.0
    is_approved: bool = False
    scaled_since: float | None = None
    last_verdict: CanaryVerdict = CanaryVerdict.WATCHING
    last_number: int = 0
    why: str = ""

    def is_window_over(self, now: float) -> bool:
        return now - self.watched_since >= self.window_seconds


# Without traffic, metrics or the right split nobody knows how the canary does, and nothing is promoted on that.
BLIND = frozenset({CanaryVerdict.NO_TRAFFIC, CanaryVerdict.METRICS_DOWN, CanaryVerdict.SPLIT_WRONG})
Next = tuple[Rollout, tuple[Action, ...]]
_STAY: tuple[Action, ...] = ()


def advance(rollout: Rollout, event: Event, now: float) -> Next:
    """The state after the event, and what must be done to bring the world there, in order."""
    if event.number <= rollout.last_number or rollout.phase.is_final:
        return rollout, _STAY
    return _react(replace(rollout, last_number=event.number), event.what, now)


def _react(rollout: Rollout, what: Happening, now: float) -> Next:
    match what:
        case AbortAsked():
            return _undo(rollout, what.reason)
        case Began():
            return _begin(rollout)
        case Placed():
            return _start_watching(rollout, now)
        case Judged():
            return _hear_verdict(rollout, what, now)
        case Approved():
            return _hear_approval(rollout, what, now)
        case Rejected():
            return _hear_rejection(rollout, what)
        case ScaledUp():
            return _hear_scaled(rollout, now)
        case TookOver():
            return _end_promoted(rollout)
        case Removed():
            return _end_rolled_back(rollout)
        case Ticked():
            return _expire(rollout, now)
        case _:
            assert_never(what)


def _begin(rollout: Rollout) -> Next:
    if rollout.phase is not Phase.PLANNED:
        return rollout, _STAY
    return replace(rollout, phase=Phase.PLACING, why="put beside the stable release"), (Place(),)


def _start_watching(rollout: Rollout, now: float) -> Next:
    if rollout.phase is not Phase.PLACING:
        return rollout, _STAY
    share = rollout.plan.steps[0]
    watching = replace(
        rollout,
        phase=Phase.WATCHING,
        weight=share,
        step_since=now,
        watched_since=now,
        window_seconds=rollout.plan.window_seconds,
        why=f"{share:g} % of the traffic",
    )
    return watching, (SetWeight(share),)


def _hear_verdict(rollout: Rollout, judged: Judged, now: float) -> Next:
    known = replace(rollout, last_verdict=judged.verdict)
    match known.phase:
        case Phase.WATCHING:
            return _watch(known, judged, now)
        case Phase.ASKING:
            return _watch_while_asking(known, judged, now)
        case Phase.SCALING:
            return _watch_while_scaling(known, judged, now)
        case _:
            return known, _STAY


def _watch(rollout: Rollout, judged: Judged, now: float) -> Next:
    match judged.verdict:
        case CanaryVerdict.FAIL:
            return _undo(rollout, judged.reason)
        case CanaryVerdict.PASS:
            return _step_up(rollout, judged, now)
        case CanaryVerdict.WATCHING:
            return rollout, _STAY
        case CanaryVerdict.INCONCLUSIVE:
            return _without_proof(rollout, judged, now)
        case CanaryVerdict.NO_TRAFFIC | CanaryVerdict.METRICS_DOWN | CanaryVerdict.SPLIT_WRONG:
            return _without_evidence(rollout, judged, now) if rollout.is_window_over(now) else (rollout, _STAY)
        case _:
            assert_never(judged.verdict)


def _step_up(rollout: Rollout, judged: Judged, now: float) -> Next:
    is_last = rollout.step + 1 >= len(rollout.plan.steps)
    if now - rollout.step_since < rollout.plan.step_seconds:
        return rollout, _STAY
    if is_last and rollout.plan.needs_approval:
        return _ask(rollout, Question.PROMOTE, judged.reason, now)
    if is_last:
        return _scale_up(rollout, judged.reason)
    step = rollout.step + 1
    share = rollout.plan.steps[step]
    risen = replace(rollout, step=step, step_since=now, weight=share, why=f"{share:g} % after: {judged.reason}")
    return risen, (SetWeight(share),)


def _without_proof(rollout: Rollout, judged: Judged, now: float) -> Next:
    """Neither good nor bad at the end of the window: more of it, which costs an anytime-valid test nothing."""
    most = rollout.plan.max_window_seconds
    if rollout.window_seconds < most:
        window = min(rollout.window_seconds + rollout.plan.window_seconds, most)
        why = f"the window is extended to {window:g} s: {judged.reason}"
        return replace(rollout, window_seconds=window, why=why), (ExtendWindow(window),)
    if rollout.plan.on_inconclusive is Otherwise.ASK:
        return _ask(rollout, Question.PROMOTE_WITHOUT_PROOF, judged.reason, now)
    return _undo(rollout, f"not shown to be good within {most:g} s: {judged.reason}")


def _without_evidence(rollout: Rollout, judged: Judged, now: float) -> Next:
    """Nothing to judge by at the end of the window: nobody can promote that, but a person may have it watched on."""
    if rollout.plan.on_inconclusive is Otherwise.ASK:
        return _ask(rollout, Question.WATCH_ON, judged.reason, now)
    return _undo(rollout, f"{judged.verdict} at the end of the window: {judged.reason}")


def _ask(rollout: Rollout, question: Question, why: str, now: float) -> Next:
    asking = replace(rollout, phase=Phase.ASKING, question=question, asked_since=now, is_approved=False, why=why)
    return asking, (Ask(question),)


def _watch_while_asking(rollout: Rollout, judged: Judged, now: float) -> Next:
    if judged.verdict is CanaryVerdict.FAIL:
        return _undo(rollout, f"turned bad while it waited for approval: {judged.reason}")
    if rollout.is_approved and _may_go_on(rollout):
        return _scale_up(rollout, rollout.why)
    return _expire(rollout, now)


def _may_go_on(rollout: Rollout) -> bool:
    """Whether an approved canary may be promoted on what was seen last."""
    if rollout.question is Question.PROMOTE_WITHOUT_PROOF:
        return rollout.last_verdict not in BLIND
    return rollout.last_verdict is CanaryVerdict.PASS


def _watch_while_scaling(rollout: Rollout, judged: Judged, now: float) -> Next:
    """It goes on being watched until it has all of the traffic; blind for a whole window, it goes back."""
    if judged.verdict is CanaryVerdict.FAIL:
        return _undo(rollout, judged.reason)
    if rollout.scaled_since is None:
        return rollout, _STAY
    if judged.verdict not in BLIND:
        return _take_over(rollout, now)
    if now - rollout.scaled_since >= rollout.plan.window_seconds:
        return _undo(rollout, f"{judged.verdict} before it could take over: {judged.reason}")
    return rollout, _STAY


def _hear_approval(rollout: Rollout, approved: Approved, now: float) -> Next:
    if rollout.phase is not Phase.ASKING or rollout.question is None:
        return rollout, _STAY
    match rollout.question:
        case Question.PROMOTE | Question.PROMOTE_WITHOUT_PROOF if not _may_go_on(rollout):
            held = f"approved by {approved.by}; waits for a verdict that allows it, it is {rollout.last_verdict}"
            return replace(rollout, is_approved=True, why=held), _STAY
        case Question.PROMOTE | Question.PROMOTE_WITHOUT_PROOF:
            return _scale_up(rollout, f"approved by {approved.by}")
        case Question.WATCH_ON:
            return _watch_on(rollout, approved, now)
        case _:
            assert_never(rollout.question)


def _watch_on(rollout: Rollout, approved: Approved, now: float) -> Next:
    window = now - rollout.watched_since + rollout.plan.window_seconds
    why = f"watched on, as {approved.by} asked"
    watching = replace(rollout, phase=Phase.WATCHING, question=None, window_seconds=window, why=why)
    return watching, (ExtendWindow(window),)


def _hear_rejection(rollout: Rollout, rejected: Rejected) -> Next:
    if rollout.phase is not Phase.ASKING:
        return rollout, _STAY
    return _undo(rollout, f"rejected by {rejected.by}: {rejected.reason}")


def _expire(rollout: Rollout, now: float) -> Next:
    if rollout.phase is not Phase.ASKING or now - rollout.asked_since < rollout.plan.approval_seconds:
        return rollout, _STAY
    waited = rollout.plan.approval_seconds
    missing = "no verdict allowed it again" if rollout.is_approved else "nobody approved it"
    return _undo(rollout, f"{missing} within {waited:g} s")


def _scale_up(rollout: Rollout, why: str) -> Next:
    withdrawn: tuple[Action, ...] = (WithdrawQuestion(),) if rollout.phase is Phase.ASKING else ()
    return replace(rollout, phase=Phase.SCALING, question=None, why=why), (*withdrawn, ScaleUp())


def _hear_scaled(rollout: Rollout, now: float) -> Next:
    if rollout.phase is not Phase.SCALING:
        return rollout, _STAY
    if rollout.last_verdict in BLIND:
        return replace(rollout, scaled_since=now), _STAY
    return _take_over(rollout, now)


def _take_over(rollout: Rollout, now: float) -> Next:
    rollout = replace(rollout, scaled_since=now)
    return replace(rollout, phase=Phase.PROMOTING, weight=100.0), (SetWeight(100.0), TakeOver())


def _end_promoted(rollout: Rollout) -> Next:
    if rollout.phase is not Phase.PROMOTING:
        return rollout, _STAY
    return replace(rollout, phase=Phase.PROMOTED), _STAY


def _undo(rollout: Rollout, why: str) -> Next:
    if rollout.phase is Phase.UNDOING:
        return rollout, _STAY
    withdrawn: tuple[Action, ...] = (WithdrawQuestion(),) if rollout.phase is Phase.ASKING else ()
    undoing = replace(rollout, phase=Phase.UNDOING, weight=0.0, question=None, why=why)
    return undoing, (SetWeight(0.0), *withdrawn, Remove())


def _end_rolled_back(rollout: Rollout) -> Next:
    if rollout.phase is not Phase.UNDOING:
        return rollout, _STAY
    return replace(rollout, phase=Phase.ROLLED_BACK), _STAY
