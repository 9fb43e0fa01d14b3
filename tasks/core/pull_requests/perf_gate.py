"""Whether benchmarks became slower, from runs of base and head in turns on one machine.

Each pair of runs gives one log ratio per benchmark. On identical code, with the order inside a pair drawn by lot, its
sign is as good as a coin's, whatever the machine's noise looks like: so the exact signed-rank test keeps the error
rate, and Holm's procedure keeps it over all benchmarks together. Slower is only what is significant and, by the
Hodges-Lehmann estimate, beyond the threshold. What cannot be told from a slow-down beyond the threshold is
inconclusive, and never passes for good.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from tasks.core.pull_requests.settings import BenchmarkSettings


class Speed(StrEnum):
    """What became of one benchmark. Published: do not rename."""

    UNCHANGED = "unchanged"
    FASTER = "faster"
    SLOWER = "slower"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One benchmark; ratios are head by base, 1.2 is 20 % slower; `p_value` is adjusted by Holm."""

    name: str
    pairs: int
    base_seconds: float
    head_seconds: float
    ratio: float
    low: float
    high: float
    p_value: float
    speed: Speed


def compare(pairs: Mapping[str, Sequence[tuple[float, float]]], settings: BenchmarkSettings) -> tuple[Comparison, ...]:
    """Each benchmark from the medians (base, head) of each pair of runs."""
    logs = {name: [math.log(head / base) for base, head in medians] for name, medians in pairs.items() if medians}
    slower = holm({name: signed_rank_p(ratios) for name, ratios in logs.items()})
    faster = holm({name: signed_rank_p([-ratio for ratio in ratios]) for name, ratios in logs.items()})
    return tuple(
        _comparison(name, pairs[name], ratios, (slower[name], faster[name]), settings) for name, ratios in logs.items()
    )


def _comparison(
    name: str,
    medians: Sequence[tuple[float, float]],
    ratios: list[float],
    p_values: tuple[float, float],
    settings: BenchmarkSettings,
) -> Comparison:
    centre, low, high = hodges_lehmann(ratios, settings.error_rate)
    threshold = math.log1p(settings.threshold_percent / 100)
    return Comparison(
        name=name,
        pairs=len(ratios),
        base_seconds=float(np.median([base for base, _ in medians])),
        head_seconds=float(np.median([head for _, head in medians])),
        ratio=math.exp(centre),
        low=math.exp(low),
        high=math.exp(high),
        p_value=p_values[0],
        speed=_speed(centre, high, p_values, threshold, settings.error_rate),
    )


def _speed(centre: float, high: float, p_values: tuple[float, float], threshold: float, error_rate: float) -> Speed:
    p_slower, p_faster = p_values
    if p_slower <= error_rate and centre >= threshold:
        return Speed.SLOWER
    if high >= threshold:
        return Speed.INCONCLUSIVE
    return Speed.FASTER if p_faster <= error_rate and centre <= -threshold else Speed.UNCHANGED


def signed_rank_p(differences: Sequence[float]) -> float:
    """Exact one-sided p-value of Wilcoxon's signed-rank test: how likely so much rise is when signs are coins.

    Ties share their mean rank; a difference of nothing speaks for no rise.
    """
    values = np.asarray(differences, dtype=float)
    if not len(values):
        return 1.0
    ranks = _doubled_ranks(np.abs(values))
    observed = int(ranks[values > 0].sum())
    chances = np.zeros(int(ranks.sum()) + 1)
    chances[0] = 1.0
    for rank in ranks:
        moved = np.zeros_like(chances)
        moved[int(rank) :] = chances[: len(chances) - int(rank)]
        chances = (chances + moved) / 2
    return float(min(1.0, chances[observed:].sum()))


def _doubled_ranks(
    sizes: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Twice the mid-ranks, which are whole numbers."""
    below = (sizes[None, :] < sizes[:, None]).sum(axis=1)
    same = (sizes[None, :] == sizes[:, None]).sum(axis=1)
    doubled: np.ndarray[tuple[int], np.dtype[np.int64]] = (2 * below + same + 1).astype(np.int64)
    return doubled


def hodges_lehmann(differences: Sequence[float], error_rate: float) -> tuple[float, float, float]:
    """The median of all pairs' means, and the two-sided exact interval that goes with the signed-rank test."""
    values = np.asarray(differences, dtype=float)
    upper = np.triu_indices(len(values))
    means = np.sort((values[upper[0]] + values[upper[1]]) / 2)
    left_out = _critical(len(values), error_rate / 2)
    if left_out < 0:
        return float(np.median(means)), -math.inf, math.inf
    return float(np.median(means)), float(means[left_out]), float(means[len(means) - 1 - left_out])


def _critical(number: int, tail: float) -> int:
    """The most that the signed-rank statistic may be with this much chance below it; -1 where no value is."""
    chances = np.array([1.0])
    for rank in range(1, number + 1):
        chances = (np.pad(chances, (0, rank)) + np.pad(chances, (rank, 0))) / 2
    return int(np.searchsorted(np.cumsum(chances), tail, side="right")) - 1


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values such that all those below a rate together are false alarms no oftener than that rate."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for place, (name, p_value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, p_value * (len(p_values) - place)))
        adjusted[name] = highest
    return adjusted
