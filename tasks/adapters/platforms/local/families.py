"""Finding every process that belongs to an instance, and ending it.

Each process is started with a mark in its environment that its children inherit, and in a session of its own. So what
an instance left behind is found also when nobody recorded it, when its parent is dead, or when it moved to a session
of its own.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tasks.adapters.daemons import birth_of

HOME_VARIABLE = "TOWPATH_HOME"
MARK_VARIABLE = "TOWPATH_INSTANCE"
_POLL_SECONDS = 0.03
_KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Marked:
    """A process that carries a mark; `session` is the id of the process that leads its session."""

    pid: int
    birth: str
    mark: str
    session: int


def marks(state: Path, mark: str) -> dict[str, str]:
    """The variables that mark a process as an instance of this state folder."""
    return {HOME_VARIABLE: str(state.resolve()), MARK_VARIABLE: mark}


def marked_processes(state: Path) -> Iterator[Marked]:
    """Every living process that carries a mark of this state folder."""
    home = str(state.resolve())
    for pid in psutil.pids():
        variables = _environment_of(pid)
        if variables.get(HOME_VARIABLE) == home and (mark := variables.get(MARK_VARIABLE)):
            session = _session_of(pid)
            if birth := birth_of(pid):
                yield Marked(pid, birth, mark, session)


def session_of(leader: int) -> dict[int, str]:
    """What lives in the session of this process, by birth."""
    return _births(pid for pid in psutil.pids() if _session_of(pid) == leader)


def family_of(leader: int, birth: str, state: Path, mark: str) -> dict[int, str]:
    """The session of an instance, its descendants and whatever else carries its mark."""
    marked = {each.pid: each.birth for each in marked_processes(state) if each.mark == mark}
    if birth_of(leader) not in (birth, ""):
        return marked  # The kernel has given its number to somebody else.
    descendants: list[int] = []
    with suppress(psutil.Error):
        descendants = [child.pid for child in psutil.Process(leader).children(recursive=True)]
    return _births(descendants) | session_of(leader) | marked


def terminate_session(leader: int, birth: str) -> None:
    """Ask the whole session to end, as a terminal would."""
    with suppress(OSError):
        if birth and birth_of(leader) == birth:
            os.killpg(leader, signal.SIGTERM)


async def kill(family: Mapping[int, str]) -> None:
    """Kill these processes and wait until they are gone."""
    for pid, birth in family.items():
        with suppress(OSError):
            if birth_of(pid) == birth:
                os.kill(pid, signal.SIGKILL)
    await until_gone(family, seconds=_KILL_SECONDS)


async def until_gone(family: Mapping[int, str], *, seconds: float) -> bool:
    """Whether all of them ended in time. Nobody tells of the end of a process that is another's child."""
    deadline = time.monotonic() + seconds
    while any(birth_of(pid) == birth for pid, birth in family.items()):
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


def _births(pids: Iterable[int]) -> dict[int, str]:
    return {pid: birth for pid in pids if (birth := birth_of(pid))}


def _session_of(pid: int) -> int:
    with suppress(OSError):
        return os.getsid(pid)
    return 0


def _environment_of(pid: int) -> dict[str, str]:
    # NOTE: a process that is between fork and exec still shows its parent's environment.
    with suppress(psutil.Error, OSError):
        return psutil.Process(pid).environ()
    return {}
