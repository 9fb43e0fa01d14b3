"""What an environment's instances count, as raw as they count it.

Counters are cumulative, one set per instance and never summed or turned into rates: the judge does its own
differencing, and must see a reset, a new instance and a missed scrape for what they are. That nothing could be read
(`None`) is never the same as that there is nothing (`{}`).
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Counters:
    """One instance's cumulative counts.

    `buckets` holds the requests at or under each bound of `Snapshot.bounds`, the last one all of them; `started` is
    when its process began, in seconds on the snapshot's clock, None where that is not known.
    """

    requests: float
    errors: float
    restarts: int = 0
    started: float | None = None
    buckets: tuple[float, ...] = ()


Arm = Mapping[str, Counters]


@dataclass(frozen=True)
class Snapshot:
    """One scrape of both arms, `at` seconds after the canary began (negative for history from before it).

    `share` is the part of the traffic (0 to 1) that was set for the canary. An arm is None when its counters could
    not be read, and empty when they could be and there are none. `bounds` are the upper bounds of the buckets in
    seconds, without the last, infinite one; so each `buckets` is one longer than `bounds`, or empty.
    """

    at: float
    share: float
    canary: Arm | None
    stable: Arm | None
    bounds: tuple[float, ...] = ()
