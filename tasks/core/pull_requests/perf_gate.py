"""Whether benchmarks became slower, from runs of base and head in turns on one machine.

Each pair of runs gives one log ratio per benchmark. On identical code, with the order inside a pair drawn by lot,
either run of a pair may as well be called the base, for all benchmarks of the pair at once and whatever the machine's
noise looks like. So what was found is held against what every such exchange would have given: the share of exchanges in
which any benchmark rises as clearly is its p-value, which keeps the error rate over all benchmarks together, however
many there are. Slower is only what is significant and, by the Hodges-Lehmann estimate, beyond the threshold. What
cannot be told from a slow-down beyond the threshold is inconclusive, and never passes for good.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from tasks.core.pull_requests.settings import BenchmarkSettings

# All exchanges up to this number of pairs; of more pairs as many, drawn by a lot that is always the same.
_MOST_EXACT_PAIRS = 12
_LOT = 20_261_125
_EQUAL = 1e-9
Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]


class Speed(StrEnum):
    """What became of one benchmark. Published: do not rename."""

    UNCHANGED = "unchanged"
    FASTER = "faster"
    SLOWER = "slower"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One benchmark; ratios are head by base, 1.2 is 20 % slower; `p_value` is adjusted for all of them."""

    name: str
    pairs: int
    base_seconds: float
    head_seconds: float
    ratio: float
    low: float
    high: float
    p_value: float
    speed: Speed


def compare(
    pairs: Mapping[str, Sequence[tuple[float, float]]], settings: BenchmarkSettings, *, parts: int = 1
) -> tuple[Comparison, ...]:
    """Each benchmark from the medians (base, head) of each pair of runs; one of `parts` that share the error rate."""
    logs = {name: [math.log(head / base) for base, head in medians] for name, medians in pairs.items() if medians}
    slower = exchange_p(logs)
    faster = exchange_p({name: [-ratio for ratio in ratios] for name, ratios in logs.items()})
    return tuple(
        _comparison(name, pairs[name], ratios, (slower[name] * parts, faster[name] * parts), settings)
        for name, ratios in logs.items()
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
        p_value=min(1.0, p_values[0]),
        speed=_speed(centre, high, p_values, threshold, settings.error_rate),
    )


def _speed(centre: float, high: float, p_values: tuple[float, float], threshold: float, error_rate: float) -> Speed:
    p_slower, p_faster = p_values
    if p_slower <= error_rate and centre >= threshold:
        return Speed.SLOWER
    if high >= threshold:
        return Speed.INCONCLUSIVE
    return Speed.FASTER if p_faster <= error_rate and centre <= -threshold else Speed.UNCHANGED


def exchange_p(rises: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """One-sided p-values over all benchmarks together; all values below a rate together are false no oftener than that.

    Benchmarks of as many pairs are exchanged together. One that runs did not always have is by itself, since its pairs
    are not those of the others.
    """
    most = max((len(each) for each in rises.values()), default=0)
    groups: dict[str, list[str]] = defaultdict(list)
    for name, each in rises.items():
        groups["" if len(each) == most else name].append(name)
    found = {
        name: min(1.0, p_value * len(groups))
        for names in groups.values()
        for name, p_value in zip(names, _step_down(np.array([rises[each] for each in names])), strict=True)
    }
    return {name: found[name] for name in rises}


def _step_down(rises: Matrix) -> list[float]:
    """Of rows of benchmarks: the clearest against the clearest of all in each exchange, the next against the rest."""
    clear = _clearness(rises)
    order = np.argsort(-clear[0], kind="stable")
    # NOTE: what is equal but for rounding counts as no less clear.
    highest = np.maximum.accumulate(clear[:, order[::-1]], axis=1)[:, ::-1]
    shares = (highest >= clear[0, order] - _EQUAL * (1 + np.abs(clear[0, order]))).mean(axis=0)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(shares)
    return [float(value) for value in adjusted]


def _clearness(rises: Matrix) -> Matrix:
    """Student's t of each benchmark in each exchange, what was found in row 0. It counts by a benchmark's own noise, so
    that a noisy one hides no other."""
    number = rises.shape[1]
    means = _exchanges(number) @ rises.T / number
    # NOTE: an exchange changes signs alone, and no square.
    spread = np.maximum((rises**2).mean(axis=1)[None, :] - means**2, 0.0)
    return np.asarray(means / np.sqrt(spread + np.finfo(float).tiny ** 0.5), dtype=float)


def _exchanges(number: int) -> Matrix:
    """Rows of signs, one for each pair; nothing exchanged in row 0."""
    if number <= _MOST_EXACT_PAIRS:
        bits = (np.arange(1 << number)[:, None] >> np.arange(number)[None, :]) & 1
    else:
        bits = np.random.default_rng(_LOT).integers(0, 2, size=(1 << _MOST_EXACT_PAIRS, number))
        bits[0] = 0
    return np.asarray(1.0 - 2.0 * bits, dtype=float)


def hodges_lehmann(differences: Sequence[float], error_rate: float) -> tuple[float, float, float]:
    """The median of all pairs' means, and the two-sided interval of the exact signed-rank test."""
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
