"""Turns on the processors: so many at once, and of those that wait, the one that will take longest goes first.

What is ready late must not go last for that: the longest scan at the end leaves all other cores idle.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count


class Turns:
    """`number` turns; a turn that is given back goes to whoever waits with the greatest weight, else the longest."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._arrivals = count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def taken(self, weight: float = 0.0) -> AsyncIterator[None]:
        """A turn until the context ends; `weight` is in whatever unit all that wait together share."""
        await self._take(weight)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, weight: float) -> None:
        if self._free:
            self._free -= 1
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-weight, next(self._arrivals), mine))
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._give_back()
            raise

    def _give_back(self) -> None:
        while self._waiting:
            _, _, first = heapq.heappop(self._waiting)
            if not first.done():
                first.set_result(None)
                return
        self._free += 1
