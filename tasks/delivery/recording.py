"""The end of a change: undoing what a failed one did, its record, its report, and telling people."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from tasks.adapters.artifacts import forget_old_artifacts
from tasks.adapters.canary_logs import forget_old_logs
from tasks.adapters.grounds import Ground, known_grounds
from tasks.adapters.outbox import post
from tasks.adapters.platforms.choosing import platform_of, safekeeping_of
from tasks.adapters.retention import forget_old_runs
from tasks.adapters.state import write_atomically
from tasks.concluding import refused
from tasks.core.delivery_report import delivery_page
from tasks.core.notices import Notice, event_of
from tasks.core.platform import PermitRevoked, PlatformTrouble
from tasks.core.records import Ending, Record
from tasks.delivery.change import Change, step
from tasks.delivery.migrating import undo_migration
from tasks.delivery.rolling import has_taken_over, take_away
from tasks.retrying import NotAllowed, PermanentError
from tasks.watching import DeliveryEnded, tell

_KEPT_RUNS = 200
_SHOW_SECONDS = 5.0
_KEPT_RECORDS = 10


@task(name="roll back", task_run_name="roll back", cache_policy=NO_CACHE)
async def undo(change: Change) -> None:
    """Everything back as it was before the change. Raises PermanentError where a person must help."""
    troubles = [str(trouble) for work in (take_away, undo_migration) if (trouble := await _tried(work, change))]
    if troubles:
        raise PermanentError("; ".join(troubles))


async def _tried(work: Callable[[Change], Awaitable[None]], change: Change) -> Exception | None:
    """What kept one part of going back from being done; the other part is tried all the same."""
    try:
        await work(change)
    except PermitRevoked:
        raise
    except (PlatformTrouble, PermanentError, OSError) as trouble:
        return trouble
    return None


def record_of(change: Change, ending: Ending, reason: str, remedy: str) -> Record:
    asked = change.asked
    return Record(
        number=1,
        target=change.ground.target,
        environment=change.ground.environment,
        kind=asked.kind,
        ending=ending,
        reason=reason,
        remedy=remedy,
        release=change.release,
        replaced=change.replaced.digest if change.replaced else "",
        who=asked.who,
        why=asked.why,
        run=asked.run,
        override=asked.override,
        gates=asked.gates,
        approvals=tuple(change.approvals),
        evidence=dict(change.evidence),
        steps=tuple(change.steps),
        started=change.started.isoformat(timespec="seconds"),
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(change.seconds(), 3),
    )


@task(name="record", task_run_name="record", cache_policy=NO_CACHE)
async def keep_record(
    change: Change, ending: Ending, reason: str, remedy: str = "", page: Callable[[Record], str] = delivery_page
) -> Record:
    """The record on disk first, then the report and the artifact, which may fail without harm to the record."""
    record = await change.keeping.ledger.write(record_of(change, ending, reason, remedy))
    change.is_settled = ending is not Ending.FAILED
    text = page(record)
    with suppress(OSError):
        write_atomically(change.asked.folder / "report.md", text)
        write_atomically(change.asked.folder / "record.json", record.model_dump_json(indent=2) + "\n")
    await _tidy(change)
    tell(DeliveryEnded(record))
    await _show(text, f"{record.kind}-{record.target}-{record.environment}")
    return record


async def _show(page: str, name: str) -> None:
    """The report in the UI, where there is a server: without one everything else has been done all the same."""
    key = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    with suppress(Exception):
        async with asyncio.timeout(_SHOW_SECONDS):
            await acreate_markdown_artifact(page, key=key)


async def _tidy(change: Change) -> None:
    """Old runs' folders and old builds go; what runs, and what an environment could go back to, stays."""
    state = change.ground.state
    with suppress(OSError, PlatformTrouble):
        forget_old_runs(state, kept=_KEPT_RUNS)
        forget_old_logs(change.ground, kept=_KEPT_RUNS)
        await change.keeping.ledger.forget_old(change.delivery.kept_records)
        needed = [artifact for ground in known_grounds(state) for artifact in await _needed_in(ground)]
        forget_old_artifacts(state, needed=needed, kept=change.delivery.kept_artifacts)


async def _needed_in(ground: Ground) -> list[str]:
    """The builds of what runs here, and of the last changes and the last releases."""
    records = await safekeeping_of(ground).ledger.records()
    released = [record for record in records if record.ending is Ending.RELEASED]
    kept = [*records[-_KEPT_RECORDS:], *released[-_KEPT_RECORDS:]]
    status = await platform_of(ground).status(ground.environment)
    running = [release for release in (status.stable, status.candidate) if release is not None]
    return [release.artifact for release in (*(record.release for record in kept), *running)]


@task(name="notify", task_run_name="notify", cache_policy=NO_CACHE)
async def notify(change: Change, ending: Ending, reason: str) -> None:
    """Tell people; that nobody could be told is on record and undoes nothing."""
    release, ground = change.release, change.ground
    notice = Notice(
        event=event_of(change.asked.kind, ending),
        target=ground.target,
        environment=ground.environment,
        version=release.version,
        text=f"{ground.target} {release.version} in {ground.environment}: {ending}. {reason}",
        about=f"{change.asked.run} {ending}",
        run=change.asked.run,
        facts={"ending": ending.value},
    )
    async with step(change, "notify") as saying:
        saying.text = await post(ground.state, notice, change.delivery.notifications)


async def conclude_released(change: Change, reason: str) -> State[Any]:
    record = await keep_record(change, Ending.RELEASED, reason)
    return Completed(message=f"record {record.number}: {reason}")


async def conclude_failed(change: Change, failure: BaseException) -> State[Any]:
    """Undo the change, put it on record, and say so; a cancellation goes on afterwards."""
    why = reason_of(failure)
    if isinstance(failure, PermitRevoked):
        return Failed(message=f"{why}; the guard has undone the change and has put it on record")
    if isinstance(failure, NotAllowed) and not change.has_moved:
        return refused(failure)
    try:
        if await has_taken_over(change):
            return await _conclude(
                change, Ending.RELEASED, f"{change.release.version} had taken over when {why}", failure
            )
        await undo(change)
    except PermitRevoked as revoked:
        return Failed(message=f"{why}; meanwhile {revoked}")
    except PermanentError as trouble:
        reason = f"{why}; and it could not be undone: {trouble}"
        return await _conclude(change, Ending.FAILED, reason, failure, remedy=f"a person must look: {trouble}")
    remedy = f"mend what is named and deliver it again; its logs are in {change.asked.folder / 'logs'}"
    return await _conclude(change, Ending.ROLLED_BACK, why, failure, remedy=remedy)


async def _conclude(
    change: Change, ending: Ending, why: str, failure: BaseException, *, remedy: str = ""
) -> State[Any]:
    """On record first, then told to people, then the state of the flow run."""
    record = await keep_record(change, ending, why, remedy)
    await notify(change, ending, why)
    message = f"record {record.number}: {ending}: {why}"
    if isinstance(failure, asyncio.CancelledError):
        return Cancelled(message=message)
    return Completed(message=message) if ending is Ending.RELEASED else Failed(message=message)


def reason_of(failure: BaseException) -> str:
    if isinstance(failure, asyncio.CancelledError | KeyboardInterrupt):
        return "the run was stopped"
    return str(failure) or type(failure).__name__
