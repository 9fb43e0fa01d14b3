"""One at a time, by locks that the kernel releases whatever becomes of their holder.

A lock is an open file, never the mere existence of one, so that a run killed with -9 leaves nothing to clean up.
"""

import asyncio
import fcntl
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

_LOCK_POLL_SECONDS = 0.05


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file; raises BlockingIOError when somebody else does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@asynccontextmanager
async def wait_for_lock(path: Path) -> AsyncIterator[None]:
    """Hold the lock file as soon as nobody else does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(locked(path))
                break
            except BlockingIOError:
                await asyncio.sleep(_LOCK_POLL_SECONDS)
        yield


@contextmanager
def hold_slot(folder: Path) -> Iterator[Path]:
    """The first slot nobody holds, for as long as the context lasts."""
    for number in itertools.count():
        slot = folder / f"slot-{number}"
        slot.mkdir(parents=True, exist_ok=True)
        with suppress(BlockingIOError), locked(slot / "lock"):
            yield slot
            return
