"""`python -m deployments.guard`: keeps what a change promised when its flow is gone.

It knows nothing of Prefect. Each second it reads every environment's intent and heartbeat; when a heartbeat is old or a
deadline has passed, it takes the lock, puts the traffic back to the stable release, removes the other one, puts it on
record, and only then tells the Prefect server, which may be gone too. It starts the supervisor again when that died.

What must never happen: two hands on one environment (the flow's permit is taken away before anything is undone), or an
environment left half undone because the guard was killed in the middle (the intent goes last).
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

from deployments.saying import complain, say
from tasks.adapters import permits
from tasks.adapters.approvals import withdraw
from tasks.adapters.daemons import birth_of
from tasks.adapters.flow_runs import ServerSilent, api_of, bury
from tasks.adapters.grounds import Ground, known_grounds
from tasks.adapters.intents import boot_id, forget_intent, machine_seconds, read_heartbeat, read_intent
from tasks.adapters.keepers import revive
from tasks.adapters.ledger import current_record, write_record
from tasks.adapters.locks import locked
from tasks.adapters.permits import Holder
from tasks.adapters.platforms.local.platform import LocalPlatform
from tasks.adapters.state import state_home
from tasks.core.intent import Intent, why_undo
from tasks.core.platform import Platform
from tasks.core.records import Ending, Kind, Record, Step
from tasks.core.release import Release

PERIOD_SECONDS = 1.0
WHO = "the guard"


def platform_of(ground: Ground) -> Platform:
    return LocalPlatform(ground.state, ground.target)


async def look_once(state: Path, *, platform: Callable[[Ground], Platform] = platform_of) -> int:
    """Look at every environment once; how many changes were undone. One that cannot be undone now is tried again."""
    undone = 0
    for ground in known_grounds(state):
        intent = read_intent(ground)
        if intent is None:
            continue
        if why := why_undo(intent, read_heartbeat(ground), boot=boot_id(), now=machine_seconds()):
            undone += await _try_to_undo(ground, intent, why, platform(ground))
    return undone


async def _try_to_undo(ground: Ground, intent: Intent, why: str, platform: Platform) -> bool:
    say(f"{_now()} {ground.target}/{ground.environment}: {why}; undoing the {intent.kind} of {intent.release.version}")
    try:
        await undo(ground, intent, why, platform)
    except Exception as trouble:  # noqa: BLE001  (whatever it is, the next look tries again, and others have their turn)
        complain(f"{_now()} {ground.target}/{ground.environment}: not undone yet, trying again: {trouble!r}")
        return False
    say(f"{_now()} {ground.target}/{ground.environment}: undone, the stable release has all of the traffic")
    return True


async def undo(ground: Ground, intent: Intent, why: str, platform: Platform) -> None:
    """Traffic first, then the release, then the record, then the intent. Raises PlatformTrouble."""
    started = datetime.now(UTC)
    permit = permits.seize(ground.folder, ground.environment, _holder(intent))
    steps = [await _timed("0 % of the traffic", platform.set_weight(permit, 0.0))]
    stable = (await platform.status(ground.environment)).stable
    steps.append(await _timed("take away", platform.remove(permit)))
    if record := _record(ground, intent, why, steps, started, stable):
        write_record(ground, record)
    withdraw(ground, intent.run)
    forget_intent(ground, permit)
    permits.release(ground.folder, permit)
    await _tell_server(ground.state, intent.run, why)


async def _timed(name: str, work: Awaitable[None]) -> Step:
    began = time.monotonic()
    await work
    return Step(name=name, seconds=time.monotonic() - began)


def _holder(intent: Intent) -> Holder:
    pid = os.getpid()
    reason = f"undoing the {intent.kind} of {intent.release.version}"
    return Holder(str(uuid4()), WHO, reason, intent.run, pid, birth_of(pid), time.time())


def _record(
    ground: Ground, intent: Intent, why: str, steps: list[Step], started: datetime, stable: Release | None
) -> Record | None:
    """What is put on record; None when the flow had done all it promised and put that on record itself."""
    is_done = stable is not None and stable.digest == intent.release.digest
    current = current_record(ground)
    if is_done and current is not None and current.release.digest == intent.release.digest:
        return None
    ended = datetime.now(UTC)
    undone = f"the {intent.kind} was undone: {why}"
    finished = f"the {intent.kind} had made it the stable release before {why}"
    return Record(
        number=1,
        target=ground.target,
        environment=ground.environment,
        kind=Kind.GUARD,
        ending=Ending.RELEASED if is_done else Ending.ROLLED_BACK,
        reason=finished if is_done else undone,
        remedy="see why its flow died (towpath status, the worker's log), then start it again",
        release=intent.release,
        replaced=stable.digest if stable else "",
        who=WHO,
        why=f"asked for by {intent.who}" + (f": {intent.why}" if intent.why else ""),
        run=intent.run,
        steps=tuple(steps),
        started=started.isoformat(timespec="seconds"),
        ended=ended.isoformat(timespec="seconds"),
        seconds=round((ended - started).total_seconds(), 3),
    )


async def _tell_server(state: Path, run: str, why: str) -> None:
    """The flow run must not stay Paused: somebody would approve it and nobody would hear."""
    with suppress(ServerSilent):
        await bury(api_of(state), run, f"its change was undone by the guard: {why}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


async def guard(state: Path, *, stop: asyncio.Event) -> None:
    """Look each second until asked to stop."""
    while not stop.is_set():
        try:
            await look_once(state)
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
