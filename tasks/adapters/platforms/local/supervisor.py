"""The daemon of the local platform: one loop over all environments of all targets.

It promises that what is wanted is made so within a fraction of a second, that its own death stops nothing, and that
its successor takes over every process it started. There is never more than one for a state folder; a second one
notices the first by a lock of the kernel and leaves.
"""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

from tasks.adapters.daemons import birth_of
from tasks.adapters.keepers import revive
from tasks.adapters.locks import locked
from tasks.adapters.platforms.local.environment import LocalEnvironment, log
from tasks.adapters.platforms.local.families import Marked, kill, marked_processes, terminate_session, until_gone
from tasks.adapters.platforms.local.folder import environment_folders
from tasks.adapters.platforms.local.ports import Ports
from tasks.adapters.platforms.local.router import NAME as ROUTER
from tasks.core.observed import Observed, ObservedProcess
from tasks.core.platform import PlatformTrouble

_LOOK_SECONDS = 0.1
_STRAY_SECONDS = 5.0
_REVIVE_SECONDS = 1.0


def supervisor_lock(state: Path) -> Path:
    return state / "delivery" / ".supervisor.lock"


async def supervise(state: Path) -> bool:
    """Run until told to stop; whether it ran at all, which it does not when another supervisor does."""
    lock = supervisor_lock(state)
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(lock):
            await _supervised(state)
    except BlockingIOError:
        return False
    return True


async def _supervised(state: Path) -> None:
    stopping, wake = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopping.set()
        wake.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await kill(_unrecorded(state))
    me, ports = ObservedProcess(pid=os.getpid(), birth=birth_of(os.getpid())), Ports()
    environments: dict[Path, LocalEnvironment] = {}
    reviving = asyncio.create_task(_keep_the_guard(state))
    while not stopping.is_set():
        for folder in environment_folders(state):
            if folder.path not in environments:
                environments[folder.path] = LocalEnvironment(folder, me, ports, wake)
        for environment in environments.values():
            try:
                environment.look()
            except Exception as error:  # noqa: BLE001 - one environment in disorder must not end all others
                environment.say("itself", f"it cannot be looked after: {error!r}")
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await wake.wait()
        wake.clear()
    reviving.cancel()
    await asyncio.gather(*(environment.stop() for environment in environments.values()), return_exceptions=True)
    await kill({each.pid: each.birth for each in marked_processes(state)})


async def _keep_the_guard(state: Path) -> None:
    """Start the guard again when it died, as it does with the supervisor."""
    while True:
        with suppress(OSError):
            if revive(state, "guard"):
                log("the guard was gone and was started again")
        await asyncio.sleep(_REVIVE_SECONDS)


def _unrecorded(state: Path) -> dict[int, str]:
    """Processes an earlier supervisor started and did not come to write down, and what outlived its instance."""
    living: set[str] = set()
    for folder in environment_folders(state):
        observed = folder.read_observed()
        recorded = [(ROUTER, observed.router), *((each.name, each) for each in observed.instances)]
        alive = [name for name, each in recorded if each.birth and birth_of(each.pid) == each.birth]
        living |= {f"{folder.address}/{name}" for name in alive}
    strays = [each for each in marked_processes(state) if each.mark not in living]
    if strays:
        log(f"{len(strays)} processes that nobody wrote down are ended: {', '.join(each.mark for each in strays)}")
    return {each.pid: each.birth for each in strays}


async def end_strays(state: Path) -> int:
    """End everything a dead supervisor left; returns how many processes. Raises PlatformTrouble while one lives."""
    lock = supervisor_lock(state)
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(lock):
            found = list(marked_processes(state))
            await _ended(found)
            for folder in environment_folders(state):
                folder.write_observed(Observed())
    except BlockingIOError:
        raise PlatformTrouble("the platform runs: stop it first with towpath down") from None
    return len(found)


async def _ended(found: list[Marked]) -> None:
    family = {each.pid: each.birth for each in found}
    for each in found:
        if each.pid == each.session:
            terminate_session(each.pid, each.birth)
    await until_gone(family, seconds=_STRAY_SECONDS)
    await kill(family)
