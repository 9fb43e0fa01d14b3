"""The two rules teams judge canaries with today, as peers of the judge on the same snapshots.

Both are written from their published descriptions, with their defaults, and are given every advantage that costs
nothing: they read the same per-instance counters, summed per arm, and no scrape is late.
"""

import math
from collections import deque
from collections.abc import Sequence
from statistics import median

from tasks.core.blocks import Block
from tasks.core.latency_bounds import quantile_seconds

TOLERANCE = 0.25
NORMAL_QUANTILE_99 = 2.3263
JUDGED_EACH_SECONDS = 30.0
CHECKED_EACH_SECONDS = 60.0
MOST_ERRORS = 0.01
MOST_SECONDS = 0.5
FAILURES_TO_ABORT = 5
CLOCK_PRECISION_SECONDS = 1e-6

Rates = list[float]


class RankRule:
    """Kayenta's default judge: Mann-Whitney on each metric's series, 98 % confidence, tolerance 0.25, both ways.

    The series are one value per scrape: the share of failed requests, and the 95th percentile. Every 30 s all values
    so far are judged; a metric is high when the confidence interval of the shift between the arms lies above the
    tolerance times the estimated shift. One high metric of two aborts; the end without an abort promotes, and so does
    a metric without data, which the default configuration leaves out.
    """

    def __init__(self) -> None:
        self._errors: tuple[Rates, Rates] = ([], [])
        self._seconds: tuple[Rates, Rates] = ([], [])
        self._judged_at = 0.0

    def aborts(self, at: float, block: Block | None, bounds: Sequence[float]) -> bool:
        """Whether it aborts at this moment; `block` is what was counted since the last scrape, None when unread."""
        if block is not None and block.seconds > 0:
            for arm, (errors, seconds) in enumerate(_rates(block, bounds)):
                self._errors[arm].extend(errors)
                self._seconds[arm].extend(seconds)
        if at - self._judged_at < JUDGED_EACH_SECONDS - CLOCK_PRECISION_SECONDS:
            return False
        self._judged_at = at
        return is_high(*self._errors) or is_high(*self._seconds)


def is_high(canary: Sequence[float], stable: Sequence[float]) -> bool:
    """Whether the canary's values are above stable's by the rank rule; too few values never are."""
    interval = shift_interval(canary, stable)
    if interval is None:
        return False
    lower, estimate = interval
    return lower > abs(TOLERANCE * estimate)


def shift_interval(canary: Sequence[float], stable: Sequence[float]) -> tuple[float, float] | None:
    """Lower end of the 98 % confidence interval of the shift, and its Hodges-Lehmann estimate.

    Both are order statistics of all pairwise differences; which one the end is follows from the normal approximation
    of the Mann-Whitney statistic. None while there are too few values for such an interval.
    """
    own, other = len(canary), len(stable)
    spread = math.sqrt(own * other * (own + other + 1) / 12)
    rank = math.floor(own * other / 2 - NORMAL_QUANTILE_99 * spread)
    if rank < 1:
        return None
    differences = sorted(first - second for first in canary for second in stable)
    return differences[rank - 1], median(differences)


class ThresholdRule:
    """Checks of fixed limits, as Argo Rollouts and Flagger are commonly set up.

    Once a minute: at most 1 % of the minute's requests failed, and their 95th percentile is at most 0.5 s. The fifth
    failed check aborts; the end without an abort promotes, and a check without data does not fail.
    """

    def __init__(self) -> None:
        self._minute: deque[Block] = deque()
        self._checked_at = 0.0
        self._failures = 0

    def aborts(self, at: float, block: Block | None, bounds: Sequence[float]) -> bool:
        """Whether it aborts at this moment; `block` is what was counted since the last scrape, None when unread."""
        if block is not None and block.seconds > 0:
            self._minute.append(block)
        if at - self._checked_at < CHECKED_EACH_SECONDS - CLOCK_PRECISION_SECONDS:
            return False
        self._checked_at = at
        self._failures += self._has_failed(bounds)
        self._minute.clear()
        return self._failures >= FAILURES_TO_ABORT

    def _has_failed(self, bounds: Sequence[float]) -> bool:
        deltas = [delta for block in self._minute for delta in block.canary]
        requests = sum(delta.requests for delta in deltas)
        errors = sum(delta.errors for delta in deltas)
        buckets = tuple(map(sum, zip(*(delta.buckets for delta in deltas), strict=True)))
        seconds = quantile_seconds(bounds, buckets)
        is_slow = seconds is not None and seconds > MOST_SECONDS
        return is_slow or (requests > 0 and errors / requests > MOST_ERRORS)


def _rates(block: Block, bounds: Sequence[float]) -> tuple[tuple[Rates, Rates], tuple[Rates, Rates]]:
    """Of each arm the block's share of errors and its 95th percentile in seconds, each empty without requests."""
    found = []
    for deltas in (block.canary, block.stable):
        requests = sum(delta.requests for delta in deltas)
        errors = sum(delta.errors for delta in deltas)
        buckets = tuple(map(sum, zip(*(delta.buckets for delta in deltas), strict=True)))
        seconds = quantile_seconds(bounds, buckets)
        found.append(([errors / requests] if requests > 0 else [], [] if seconds is None else [seconds]))
    return found[0], found[1]
