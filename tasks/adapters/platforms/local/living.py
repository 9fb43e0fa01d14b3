"""One process the supervisor looks after, whether it started it or found it.

The end of a process is told by the kernel where the kernel can tell of any process (Linux), so that a crash is noticed
at once and an idle supervisor need not look; elsewhere it is noticed at the next look.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tasks.adapters.daemons import birth_of, launched
from tasks.adapters.platforms.local.families import family_of, kill, terminate_session, until_gone

# What is killed may just have started another.
_ROUNDS = 3


class LivingProcess:
    """A process by id and birth. `on_end` is called once, soon after it ended."""

    def __init__(
        self, pid: int, birth: str, on_end: Callable[[], None], child: "subprocess.Popen[bytes] | None"
    ) -> None:
        self.pid = pid
        self.birth = birth
        self._on_end = on_end
        self._child = child
        self._descriptor = -1
        self._watch()

    @property
    def is_alive(self) -> bool:
        if self._child is not None and self._child.poll() is not None:
            return False
        return bool(self.birth) and birth_of(self.pid) == self.birth

    @property
    def how_it_ended(self) -> str:
        code = self._child.poll() if self._child is not None else None
        if code is None:
            return "ended"
        return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"

    async def until_ended(self, seconds: float) -> bool:
        return await until_gone({self.pid: self.birth}, seconds=seconds) if self.is_alive else True

    async def end(self, state: Path, mark: str, *, seconds: float) -> None:
        """Ask it and its session to end, give them these seconds, then kill whatever is left of its family."""
        family = family_of(self.pid, self.birth, state, mark)
        terminate_session(self.pid, self.birth)
        if await self.until_ended(seconds):
            await until_gone(family, seconds=min(seconds, 1.0))
        for _ in range(_ROUNDS):
            family |= family_of(self.pid, self.birth, state, mark)
            if not any(birth_of(pid) == birth for pid, birth in family.items()):
                break
            await kill(family)
        self.forget()

    def forget(self) -> None:
        """Collect what is left of it and look no more."""
        self._unwatch()
        if self._child is not None:
            self._child.poll()

    def _watch(self) -> None:
        if sys.platform == "linux":
            with suppress(OSError):
                self._descriptor = os.pidfd_open(self.pid)
                asyncio.get_running_loop().add_reader(self._descriptor, self._ended)

    def _ended(self) -> None:
        self.forget()
        self._on_end()

    def _unwatch(self) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def started(
    argv: tuple[str, ...], *, directory: Path, environment: Mapping[str, str], log: Path, on_end: Callable[[], None]
) -> LivingProcess:
    """Start a program in a session of its own, which outlives the supervisor. Raises OSError."""
    child = launched(argv, directory=directory, environment=environment, log=log)
    return LivingProcess(child.pid, birth_of(child.pid), on_end, child)


def adopted(pid: int, birth: str, on_end: Callable[[], None]) -> LivingProcess | None:
    """A process that an earlier supervisor started, if it is still that one."""
    found = LivingProcess(pid, birth, on_end, None)
    if found.is_alive:
        return found
    found.forget()
    return None
