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
import os
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
from tasks.adapters import permits
from tasks.adapters.approvals import withdraw
from tasks.adapters.artifacts import BuildFailed, read_settings
from tasks.adapters.daemons import birth_of
from tasks.adapters.grounds import Ground, known_grounds
from tasks.adapters.intents import (
    boot_id,
    forget_intent,
    has_intent,
    machine_seconds,
    read_heartbeat,
    read_intent,
)
from tasks.adapters.keepers import revive
from tasks.adapters.ledger import read_records, write_record
from tasks.adapters.locks import locked
from tasks.adapters.outbox import deliver_due, post
from tasks.adapters.permits import Holder
from tasks.adapters.platforms.choosing import platform_of
from tasks.adapters.state import state_home
from tasks.core.intent import Intent, why_undo
from tasks.core.notices import Event, Notice
from tasks.core.platform import Platform, PlatformTrouble
from tasks.core.records import Record, Step

PERIOD_SECONDS = 1.0
_TELLING_SECONDS = 5.0
_PATIENCE_SECONDS = 3.0
_SCHEDULE_SECONDS = 60.0
WHO = "the guard"
PlatformOf = Callable[[Ground], Platform]


async def look_once(state: Path, *, platform: PlatformOf | None = None) -> int:
    """Look at every environment once; how many changes were undone. One that cannot be undone now is tried again."""
    looks = [_look_at(ground, platform or _promptly) for ground in known_grounds(state)]
    return sum(await asyncio.gather(*looks))


def _promptly(ground: Ground) -> Platform:
    """A cluster that is away is asked again at the next look: one environment must not keep the others waiting."""
    return platform_of(ground, patience_seconds=_PATIENCE_SECONDS)


async def _look_at(ground: Ground, of: PlatformOf) -> bool:
    """Whether something was undone here. Whatever goes wrong is said, and keeps the guard from nothing else."""
    try:
        platform, intent = of(ground), read_intent(ground)
        if intent is None:
            return await _take_away_abandoned(ground, platform)
        if why := why_undo(intent, read_heartbeat(ground), boot=boot_id(), now=machine_seconds()):
            _note(ground, f"{why}; undoing the {intent.kind} of {intent.release.version}")
            await undo(ground, intent, why, platform)
            _note(ground, "undone, the stable release has all of the traffic")
            return True
    except Exception as trouble:  # noqa: BLE001  (whatever it is, the next look tries again, and others have their turn)
        complain(f"{_now()} {ground.target}/{ground.environment}: not undone yet, trying again: {trouble!r}")
    return False


async def undo(ground: Ground, intent: Intent, why: str, platform: Platform) -> None:
    """Traffic first, then the release, then the record, then the intent. Raises PlatformTrouble."""
    started = datetime.now(UTC)
    permit = permits.seize(ground.folder, ground.environment, _holder(intent), token=intent.token)
    steps = [await _timed("0 % of the traffic", platform.set_weight(permit, 0.0))]
    stable = (await platform.status(ground.environment)).stable
    steps.append(await _timed("take away", platform.remove(permit)))
    record = guard_record(intent, why, tuple(steps), started, stable, earlier=read_records(ground), who=WHO)
    if record is not None:
        write_record(ground, record)
    withdraw(ground, intent.run, outcome=f"its change was undone by the guard: {why}")
    bury_later(ground.state, intent, why)
    forget_intent(ground, permit)
    permits.release(ground.folder, permit)
    await _tell_people(ground, record)


async def take_back_everything(state: Path) -> list[str]:
    """For whoever stops the platform: every change that is under way is undone first, and said."""
    said: list[str] = []
    for ground in known_grounds(state):
        if (intent := read_intent(ground)) is not None:
            what = f"{ground.target}/{ground.environment}: the {intent.kind} of {intent.release.version}"
            try:
                await undo(ground, intent, "the platform was stopped", platform_of(ground))
                said.append(f"{what} was under way and is taken back")
            except (PlatformTrouble, OSError) as trouble:
                said.append(f"{what} is under way and will be taken back when the platform is up again: {trouble}")
    return said


async def _timed(name: str, work: Awaitable[None]) -> Step:
    began = time.monotonic()
    await work
    return Step(name=name, seconds=time.monotonic() - began)


def _holder(intent: Intent | None, *, what: str = "") -> Holder:
    pid = os.getpid()
    reason = f"undoing the {intent.kind} of {intent.release.version}" if intent else what
    return Holder(str(uuid4()), WHO, reason, intent.run if intent else "", pid, birth_of(pid), time.time())


async def _take_away_abandoned(ground: Ground, platform: Platform) -> bool:
    """A candidate that no intent and no living holder answers for must not keep its share: whose files were lost."""
    holder = permits.holder_of(ground.folder)
    if holder is not None and holder.is_alive:
        return False
    if holder is None and not has_intent(ground):
        return False
    started, status = datetime.now(UTC), await platform.status(ground.environment)
    permit = permits.seize(
        ground.folder, ground.environment, _holder(None, what="taking away what nobody answers for"), token=""
    )
    if status.candidate is not None:
        _note(ground, f"nobody answers for {status.candidate.version}; taking it away")
        step = await _timed("take away", platform.remove(permit))
        write_record(ground, abandoned_record(ground, status.candidate, status.stable, step, started, who=WHO))
    forget_intent(ground, permit)
    permits.release(ground.folder, permit)
    return status.candidate is not None


async def _tell_people(ground: Ground, record: Record | None) -> None:
    """As the release's own configuration says; that nobody could be told undoes nothing."""
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
        wanted = read_settings(ground.state, record.release.artifact).notifications
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
    while not stop.is_set():
        try:
            await look_once(state)
            withdraw_dead_questions(state)
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
