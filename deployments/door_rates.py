"""How much one address may ask for in a minute. What is remembered is bounded, however many addresses come."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_SOURCES = 10_000


class Rates:
    """A bucket per address that holds a minute's worth and fills again steadily."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._clock = float(per_minute), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def knows(self, source: str) -> bool:
        """Whether it has taken any lately."""
        return source in self._left

    def wait(self, source: str) -> int:
        """What `take` would say, with nothing taken and nothing remembered."""
        left = self._now(source)[0]
        return math.ceil((1 - left) * 60 / self._size) if left < 1 else 0

    def _now(self, source: str) -> tuple[float, float]:
        now = self._clock()
        left, at = self._left.get(source, (self._size, now))
        return min(self._size, left + (now - at) * self._size / 60), now

    def take(self, source: str) -> int:
        """0 when there was one left, else the seconds until there is."""
        left, now = self._now(source)
        self._left.pop(source, None)
        is_empty = left < 1
        self._left[source] = (left if is_empty else left - 1, now)
        if len(self._left) > _MOST_SOURCES:
            self._left.popitem(last=False)
        return math.ceil((1 - left) * 60 / self._size) if is_empty else 0
