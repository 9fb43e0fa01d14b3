"""Latency judged by counts: which bounds of a histogram to look at, and what "5 % slower" means at each of them.

A quantile computed from buckets is an interpolation, and its difference between two arms says nothing about chance.
How many requests took longer than a bound is a count like errors are, so latency is judged at several bounds with the
same arithmetic (looking at quantiles over all bins: Lindon, Sanden, Shirikian, arXiv 2205.14762). What a shift of the
whole distribution does to such a count is read off stable's own distribution, straight between bounds on logarithmic
axes. The 95th percentile is here for display only; nothing may be decided by it.
"""

import math
from collections.abc import Sequence

LEAST_OVER = 0.002
MOST_OVER = 0.40
BOUNDS_ABOVE = 2
PROMOTE_OVER = 0.05
# A first bound has no neighbour below; common layouts at least double from one to the next.
FIRST_BOUND_STEP = 2.0


def shares_over(buckets: Sequence[float]) -> list[float]:
    """The share of requests (0 to 1) over each bound, from cumulative buckets whose last is all of them."""
    total = buckets[-1]
    return [(total - under) / total for under in buckets[:-1]]


def choose_bounds(over: Sequence[float]) -> range:
    """Indices of the bounds to test: stable's share over them is 0.2 to 40 %, and the next two above.

    Where no bound lies in between, as with a coarse histogram, the two lowest with less than that are all there is.
    """
    first = next((index for index, share in enumerate(over) if share <= MOST_OVER), len(over))
    within = sum(1 for share in over[first:] if share >= LEAST_OVER)
    return range(first, min(first + within + BOUNDS_ABOVE, len(over)))


def choose_promote_bound(over: Sequence[float], tested: Sequence[int]) -> int:
    """The tested bound with stable's share over it nearest to 5 %, on a logarithmic scale. Needs one tested."""
    return min(tested, key=lambda index: abs(math.log(max(over[index], 1e-9) / PROMOTE_OVER)))


def ratio_over(bounds: Sequence[float], over: Sequence[float], index: int, slower: float) -> float:
    """How many times as many requests exceed a bound (seconds) when all take `slower` (0.05: 5 %) longer.

    (S_(j-1) / S_j) ^ f with f = min(1, ln(1 + slower) / ln(L_j / L_(j-1))); 1 where stable has none over the bound.
    """
    share = over[index]
    if share <= 0:
        return 1.0
    below, step = (over[index - 1], bounds[index] / bounds[index - 1]) if index else (1.0, FIRST_BOUND_STEP)
    part = min(1.0, math.log(1 + slower) / math.log(step))
    return float((below / share) ** part)


def quantile_seconds(bounds: Sequence[float], buckets: Sequence[float], quantile: float = 0.95) -> float | None:
    """A quantile interpolated straight within its bucket, as Prometheus does; None without requests or bounds.

    Beyond the last bound it is that bound, since more is not known.
    """
    if not buckets or not bounds or buckets[-1] <= 0:
        return None
    rank = quantile * buckets[-1]
    index = next((index for index, under in enumerate(buckets[:-1]) if under >= rank), None)
    if index is None:
        return bounds[-1]
    lower, under_lower = (bounds[index - 1], buckets[index - 1]) if index else (0.0, 0.0)
    within = buckets[index] - under_lower
    part = (rank - under_lower) / within if within > 0 else 1.0
    return lower + (bounds[index] - lower) * part
