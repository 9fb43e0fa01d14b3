"""From what single instances count to a snapshot of both arms.

Histograms of different releases may have different buckets; cumulative counts can be compared only at bounds that all
of them have, so a snapshot keeps the common ones. An instance that could not be read is missing from its arm, and an
arm of which none could be read is None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.core.counters import Arm, Counters, Snapshot


@dataclass(frozen=True)
class Reading:
    """What one instance said. `buckets` holds the requests at or under each bound, the infinite one among them."""

    requests: float
    errors: float
    buckets: Mapping[float, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scrape:
    """One instance that was asked; `reading` is None when it gave no readable answer."""

    name: str
    reading: Reading | None
    restarts: int
    started: float | None


def snapshot_of(at: float, share: float, *, canary: Sequence[Scrape], stable: Sequence[Scrape]) -> Snapshot:
    """Both arms on common bounds."""
    readings = [each.reading for each in (*canary, *stable) if each.reading is not None]
    with_buckets = [set(reading.buckets) for reading in readings if reading.buckets]
    common = tuple(sorted(set.intersection(*with_buckets))) if with_buckets else ()
    return Snapshot(at=at, share=share, canary=_arm(canary, common), stable=_arm(stable, common), bounds=common[:-1])


def _arm(scrapes: Sequence[Scrape], common: tuple[float, ...]) -> Arm | None:
    if not scrapes:
        return {}
    arm = {
        each.name: Counters(
            requests=each.reading.requests,
            errors=each.reading.errors,
            restarts=each.restarts,
            started=each.started,
            buckets=tuple(each.reading.buckets[bound] for bound in common) if each.reading.buckets else (),
        )
        for each in scrapes
        if each.reading is not None
    }
    return arm or None
