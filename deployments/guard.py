"""`python -m deployments.guard`: keeps what a change promised when its flow is gone.

It knows nothing of Prefect. Each second it reads every environment's intent and heartbeat; when a heartbeat is old or a
deadline has passed, it takes the lock, puts the traffic back to the stable release, removes the other one, puts it on
record, and only then tells people and the Prefect server, which may be gone too. It starts the supervisor again when
that died, and withdraws questions that nobody waits for any more.

What must never happen: two hands on one environment (the flow's permit is taken away before anything is undone), an
environment left half undone because the guard was killed in the middle (the intent goes last), or trouble in one
environment that keeps it from the others.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from deployments.burying import bury_later, bury_what_waits, withdraw_dead_questions
from deployments.guard_records import abandoned_record, guard_record
from deployments.missed import tell_missed
from deployments.saying import complain, say
from tasks.adapters.approvals import withdraw
from tasks.adapters.artifacts import BuildFailed, read_settings
from tasks.adapters.grounds import Ground, known_grounds
from tasks.adapters.heartbeats import beating
from tasks.adapters.intents import boot_id
from tasks.adapters.keepers import revive
from tasks.adapters.locks import locked
from tasks.adapters.outbox import deliver_due, post
from tasks.adapters.platforms.guarded import Guarded, GuardedPlaces
from tasks.adapters.state import state_home
from tasks.core.intent import Intent
from tasks.core.notices import Event, Notice
from tasks.core.platform import Permit, PlatformTrouble
from tasks.core.records import Record, Step
from tasks.core.safekeeping import Claim

PERIOD_SECONDS = 1.0
_TELLING_SECONDS = 5.0
_SCHEDULE_SECONDS = 60.0
WHO = "the guard"
Of = Callable[[Ground], Guarded]


async def look_once(state: Path, of: Of, *, may_act: Callable[[], bool] = lambda: True) -> int:
    """Look at every environment once; how many changes were undone. One that cannot be undone now is tried again."""
    looks = [_look_at(ground, of, may_act) for ground in known_grounds(state)]
    return sum(await asyncio.gather(*looks))


async def _look_at(ground: Ground, of: Of, may_act: Callable[[], bool]) -> bool:
    """Whether something was undone here. Whatever goes wrong is said, and keeps the guard from nothing else."""
    try:
        there = of(ground)
        intent = await there.keeping.promise.read()
        if intent is None:
            return await _take_away_abandoned(there, may_act)
        why = await there.keeping.promise.why_undo(intent)
        if why and may_act():
            _note(ground, f"{why}; undoing the {intent.kind} of {intent.release.version}")
            await undo(there, intent, why)
            _note(ground, "undone, the stable release has all of the traffic")
            return True
    except Exception as trouble:  # noqa: BLE001  (whatever it is, the next look tries again, and others have their turn)
        complain(f"{_now()} {ground.target}/{ground.environment}: not undone yet, trying again: {trouble!r}")
    return False


async def undo(there: Guarded, intent: Intent, why: str) -> None:
    """Traffic first, then the release, then the record, then the intent. Raises PlatformTrouble."""
    started, keeping = datetime.now(UTC), there.keeping
    permit = await keeping.lock.seize(_claim(intent), token=intent.token)
    async with beating(keeping.lock, permit):
        record = await _undo_under(permit, there, intent, why, started)
    withdraw(there.ground, intent.run, outcome=f"its change was undone by the guard: {why}")
    bury_later(there.ground.state, intent, why)
    await keeping.promise.forget(permit)
    await keeping.lock.release(permit)
    await _tell_people(there.ground, intent, record)


async def _undo_under(permit: Permit, there: Guarded, intent: Intent, why: str, started: datetime) -> Record | None:
    """The record, unless the flow had written one itself."""
    platform, ledger = there.platform, there.keeping.ledger
    steps = [await _timed("0 % of the traffic", platform.set_weight(permit, 0.0))]
    stable = (await platform.status(there.ground.environment)).stable
    steps.append(await _timed("take away", platform.remove(permit)))
    earlier = await ledger.records()
    record = guard_record(intent, why, tuple(steps), started, stable, earlier=earlier, who=WHO)
    return None if record is None else await ledger.write(record)


async def take_back_everything(state: Path) -> list[str]:
    """For whoever stops the platform: every change of this home that is under way is undone first, and said."""
    said, places = list[str](), GuardedPlaces()
    for ground in known_grounds(state):
        try:
            said += await _take_back(places.of(ground))
        except (PlatformTrouble, OSError) as trouble:
            said.append(f"{ground.target}/{ground.environment}: what is under way is taken back later: {trouble}")
    return said


async def _take_back(there: Guarded) -> list[str]:
    intent = await there.keeping.promise.read()
    # NOTE: a change of another machine goes on without this one, and with that one's guard.
    if intent is None or intent.boot != boot_id():
        return []
    what = f"{there.ground.target}/{there.ground.environment}: the {intent.kind} of {intent.release.version}"
    try:
        await undo(there, intent, "the platform was stopped")
    except (PlatformTrouble, OSError) as trouble:
        return [f"{what} is under way and will be taken back when the platform is up again: {trouble}"]
    return [f"{what} was under way and is taken back"]


async def _timed(name: str, work: Awaitable[None]) -> Step:
    began = time.monotonic()
    await work
    return Step(name=name, seconds=time.monotonic() - began)


def _claim(intent: Intent | None, *, what: str = "") -> Claim:
    reason = f"undoing the {intent.kind} of {intent.release.version}" if intent else what
    return Claim(str(uuid4()), WHO, reason, intent.run if intent else "", time.time())


async def _take_away_abandoned(there: Guarded, may_act: Callable[[], bool]) -> bool:
    """A candidate that no intent and no living holder answers for must not keep its share: whose files were lost."""
    ground, lock, promise = there.ground, there.keeping.lock, there.keeping.promise
    holder = await lock.occupant()
    if (holder is not None and holder.is_alive) or not may_act():
        return False
    if holder is None and not await promise.is_there():
        return False
    started, status = datetime.now(UTC), await there.platform.status(ground.environment)
    permit = await lock.seize(_claim(None, what="taking away what nobody answers for"), token="")
    if status.candidate is not None:
        _note(ground, f"nobody answers for {status.candidate.version}; taking it away")
        async with beating(lock, permit):
            step = await _timed("take away", there.platform.remove(permit))
        record = abandoned_record(ground, status.candidate, status.stable, step, started, who=WHO)
        await there.keeping.ledger.write(record)
    await promise.forget(permit)
    await lock.release(permit)
    return status.candidate is not None


async def _tell_people(ground: Ground, intent: Intent, record: Record | None) -> None:
    """As the change's own configuration says, which need not be on this machine; that nobody heard undoes nothing."""
    if record is None:
        return
    version = record.release.version
    notice = Notice(
        event=Event.GUARD_ACTED,
        target=ground.target,
        environment=ground.environment,
        version=version,
        text=f"{ground.target} {version} in {ground.environment}: {record.ending}. {record.reason}",
        about=f"record {record.number}",
        facts={"ending": record.ending.value},
    )
    with suppress(BuildFailed):
        wanted = intent.notifications or read_settings(ground.state, record.release.artifact).notifications
        _note(ground, await post(ground.state, notice, wanted))


def _note(ground: Ground, text: str) -> None:
    say(f"{_now()} {ground.target}/{ground.environment}: {text}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


async def guard(state: Path, *, stop: asyncio.Event) -> None:
    """Look each second until asked to stop."""
    # NOTE: beside it, since a chat service may take its time, and production must not wait for that.
    telling = asyncio.create_task(_tell_again(state))
    try:
        await _watch(state, stop)
    finally:
        telling.cancel()


async def _tell_again(state: Path) -> None:
    """Whatever people have not been told yet is told again when it is due; and schedules that were missed."""
    looked = -_SCHEDULE_SECONDS
    while True:
        try:
            await deliver_due(state, now=time.time())
            if time.monotonic() - looked >= _SCHEDULE_SECONDS:
                looked = time.monotonic()
                await tell_missed(state, now=datetime.now(UTC))
        except Exception as trouble:  # noqa: BLE001  (one letter must not keep the others)
            complain(f"{_now()} {trouble!r}")
        await asyncio.sleep(_TELLING_SECONDS)


async def _watch(state: Path, stop: asyncio.Event) -> None:
    places = GuardedPlaces()
    while not stop.is_set():
        try:
            await look_once(state, places.of)
            await withdraw_dead_questions(state)
            await bury_what_waits(state)
            if revive(state, "supervisor"):
                say(f"{_now()} the supervisor was gone and was started again")
        except Exception as trouble:  # noqa: BLE001  (a guard that ends guards nothing)
            complain(f"{_now()} {trouble!r}")
        with suppress(TimeoutError):
            async with asyncio.timeout(PERIOD_SECONDS):
                await stop.wait()


async def _main(state: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    say(f"{_now()} guarding every environment of {state}")
    await guard(state, stop=stop)


def main() -> int:
    state = state_home()
    folder = state / "keepers"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder / "guard.lock"):
            asyncio.run(_main(state))
    except BlockingIOError:
        say("another guard keeps this home already")
    return 0


if __name__ == "__main__":
    sys.exit(main())
