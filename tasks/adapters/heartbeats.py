"""Signs of life of whoever has the right to change an environment, for as long as it is at work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tasks.adapters.intents import machine_seconds
from tasks.core.platform import Permit, PermitRevoked, PlatformTrouble
from tasks.core.safekeeping import Lock

_BEAT_SECONDS = 2.0


@asynccontextmanager
async def beating(lock: Lock, permit: Permit, *, deadline: float | None = None) -> AsyncIterator[None]:
    """Until the context closes, or the right was taken away. `deadline` is of this machine's clock."""
    task = asyncio.create_task(_beat_on(lock, permit, deadline))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _beat_on(lock: Lock, permit: Permit, deadline: float | None) -> None:
    while True:
        try:
            await lock.beat(permit, None if deadline is None else deadline - machine_seconds())
        except PermitRevoked:
            return
        except (OSError, PlatformTrouble):
            pass  # The next one may be heard.
        await asyncio.sleep(_BEAT_SECONDS)
