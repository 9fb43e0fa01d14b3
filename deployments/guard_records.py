"""What the guard puts on record, and when it puts nothing there because the flow has done so itself."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from tasks.adapters.grounds import Ground
from tasks.core.intent import Intent
from tasks.core.records import Ending, Kind, Record, Step
from tasks.core.release import Release

_REMEDY = "see why its flow died (towpath status, the worker's log), then start it again"


def guard_record(
    intent: Intent,
    why: str,
    steps: tuple[Step, ...],
    started: datetime,
    stable: Release | None,
    *,
    earlier: Iterable[Record],
    who: str,
) -> Record | None:
    """The record of an undone change, or of one whose flow had finished it and died only then."""
    if any(each.run == intent.run and each.ending is not Ending.FAILED for each in earlier):
        return None
    is_done = stable is not None and stable.digest == intent.release.digest != intent.replaced
    ending, reason, remedy = _ending(intent, why, is_done=is_done)
    return Record(
        target=intent.target,
        environment=intent.environment,
        kind=Kind.GUARD,
        ending=ending,
        reason=reason,
        remedy=remedy,
        release=stable if is_done and stable is not None else intent.release,
        replaced=intent.replaced or (stable.digest if stable and not is_done else ""),
        who=who,
        why=f"asked for by {intent.who}" + (f": {intent.why}" if intent.why else ""),
        run=intent.run,
        override=intent.override,
        gates=intent.gates,
        approvals=intent.approvals,
        steps=steps,
        **_times(started),
    )


def _ending(intent: Intent, why: str, *, is_done: bool) -> tuple[Ending, str, str]:
    if is_done:
        finished = f"the {intent.kind} had made it the stable release before {why}"
        return Ending.RELEASED, finished, "look at it: nobody verified what came after"
    undone = f"the {intent.kind} was undone: {why}"
    if not intent.is_schema_in_doubt:
        return Ending.ROLLED_BACK, undone, _REMEDY
    remedy = (
        f"the traffic is back, the database may not be: migrations declared {intent.migrations} had begun. Compare its "
        f"schema with {intent.schema_before or 'none'}, which the stable release needs; the backup from before them is "
        f"{intent.backup or 'none, there was no database'}"
    )
    return Ending.FAILED, undone, remedy


def abandoned_record(
    ground: Ground, candidate: Release, stable: Release | None, step: Step, started: datetime, *, who: str
) -> Record:
    return Record(
        target=ground.target,
        environment=ground.environment,
        kind=Kind.GUARD,
        ending=Ending.ROLLED_BACK,
        reason="it was taken away: no readable intent and no living flow answered for it",
        remedy="see what became of intent.json and lock.json of the environment: a full disk, or a loss of power",
        release=candidate,
        replaced=stable.digest if stable else "",
        who=who,
        steps=(step,),
        **_times(started),
    )


def _times(started: datetime) -> dict[str, Any]:
    """Of a record that is written now; its number is given when it is."""
    ended = datetime.now(UTC)
    return {
        "number": 1,
        "started": started.isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
        "seconds": round((ended - started).total_seconds(), 3),
    }
