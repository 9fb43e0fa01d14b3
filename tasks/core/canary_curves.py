"""What a canary's snapshots look like as curves: for people's eyes only, nothing is decided by them.

Each point is what was counted since the scrape before; a point that was not measured is a gap (nan), never a zero.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tasks.core.counters import Arm, Counters, Snapshot


@dataclass(frozen=True)
class Curves:
    """All of the same length: seconds, per cent of requests that failed, and 95th percentiles in milliseconds."""

    at: tuple[float, ...]
    canary_errors: tuple[float, ...]
    stable_errors: tuple[float, ...]
    canary_p95: tuple[float, ...]
    stable_p95: tuple[float, ...]


def curves_of(snapshots: Sequence[Snapshot]) -> Curves:
    pairs = [(before, after) for before, after in pairwise(snapshots) if after.at >= 0]
    canary = [grown(before.canary, after.canary) for before, after in pairs]
    stable = [grown(before.stable, after.stable) for before, after in pairs]
    bounds = [after.bounds for _, after in pairs]
    return Curves(
        at=tuple(after.at for _, after in pairs),
        canary_errors=tuple(map(_error_percent, canary)),
        stable_errors=tuple(map(_error_percent, stable)),
        canary_p95=tuple(_p95(counts, limits) for counts, limits in zip(canary, bounds, strict=True)),
        stable_p95=tuple(_p95(counts, limits) for counts, limits in zip(stable, bounds, strict=True)),
    )


def grown(before: Arm | None, after: Arm | None) -> Counters | None:
    """What all instances of an arm counted between two scrapes; None where one of them could not be read."""
    if before is None or after is None:
        return None
    deltas = [_delta(before, name, counters) for name, counters in after.items()]
    width = max((len(delta.buckets) for delta in deltas), default=0)
    buckets = tuple(sum(delta.buckets[index] for delta in deltas if delta.buckets) for index in range(width))
    return Counters(sum(delta.requests for delta in deltas), sum(delta.errors for delta in deltas), buckets=buckets)


def _delta(before: Mapping[str, Counters], name: str, now: Counters) -> Counters:
    then = before.get(name)
    if then is None or now.requests < then.requests:
        return now
    buckets = tuple(new - old for new, old in zip(now.buckets, then.buckets, strict=False))
    return Counters(now.requests - then.requests, max(0.0, now.errors - then.errors), buckets=buckets)


def _error_percent(counts: Counters | None) -> float:
    if counts is None or not counts.requests:
        return math.nan
    return 100 * counts.errors / counts.requests


def _p95(counts: Counters | None, bounds: Sequence[float]) -> float:
    """By linear interpolation within the bucket, as Prometheus's histogram_quantile does; in milliseconds."""
    if counts is None or not counts.buckets or not counts.buckets[-1] or len(counts.buckets) != len(bounds) + 1:
        return math.nan
    rank = 0.95 * counts.buckets[-1]
    index = next(place for place, count in enumerate(counts.buckets) if count >= rank)
    if index == len(bounds):
        return 1000 * bounds[-1]
    low, below = (bounds[index - 1], counts.buckets[index - 1]) if index else (0.0, 0.0)
    inside = counts.buckets[index] - below
    return 1000 * (low + (bounds[index] - low) * ((rank - below) / inside if inside else 1.0))
