"""Evidence that may be looked at as often as one likes: the arithmetic of the canary's e-processes.

A test that is read at every scrape and stops at the first alarm cries wolf far more often than its level says. An
e-process does not: it is a wealth that starts at 1, that no strategy can make grow on average while the null
hypothesis holds, and that therefore reaches 1/alpha at any time at all with a probability of at most alpha (Ville's
inequality; Ramdas, Grünwald, Vovk, Shafer, arXiv 2210.01948). What is promised here is that each factor has an
expectation of at most 1 under its null, whatever stable's own rate is and however it changes from block to block,
as long as both arms meet the same rate within a block. What must never happen is that a factor is chosen with
knowledge of the block it is applied to: ratio, phi and cap come from earlier blocks.

Why the expectation is at most 1: E[x^k] <= exp(n p (x - 1)) for Poisson (equal) and Bernoulli counts, and x, y are
such that stable's p drops out. Dividing the logarithm by phi >= 1 keeps that (Jensen), and makes it hold for events
in bursts of at most phi. A cap only lowers a factor. Without an absolute tolerance the harm factor is the
conditional binomial test of Lindon and Malek, arXiv 2011.03567.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

ERROR_MULTIPLIERS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
LATENCY_MULTIPLIERS = (1.15, 1.35, 1.75, 2.5, 5.0)
PROMOTE_FACTORS = (0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9)
SPLIT_MULTIPLIERS = (1.15, 1.5, 2.5, 8.0)
START_AT_ONCE = 0.5
# Lowering a wealth keeps it valid, and these keep products and exponentials within what a float can hold.
LARGEST_WEALTH = 1e100
LARGEST_LOG_WEALTH = math.log(LARGEST_WEALTH)
# The mixtures share their weight out, so the cap has to leave room for a single component to decide in so many blocks.
HARM_SHARE_OF_ONE = 4


class Counts(NamedTuple):
    """Requests of one block in each arm, and how many of them were the event in question (an error, a slow one)."""

    canary_requests: float
    canary_events: float
    stable_requests: float
    stable_events: float

    @property
    def is_comparable(self) -> bool:
        return self.canary_requests > 0 and self.stable_requests > 0


def harm_cap(components: int, alpha: float, min_blocks: int) -> float:
    """The most a block may add to the logarithm of one harm component, so that `min_blocks` are needed to decide."""
    return math.log(HARM_SHARE_OF_ONE * components / alpha) / min_blocks


def promote_cap(beta: float, min_blocks: int) -> float:
    """The most a block may add to the logarithm of one promotion component."""
    return math.log(len(PROMOTE_FACTORS) / beta) / min_blocks


def log_harm_factors(
    counts: Counts, multipliers: Sequence[float], *, ratio: float, absolute: float, phi: float, cap: float
) -> list[float]:
    """Logarithms of the factors against "canary's rate <= ratio x stable's + absolute", one per multiplier > 1.

    log f = [k_c ln x + k_s ln y - n_c absolute (x - 1)] / phi with theta = ratio n_c / (ratio n_c + n_s),
    D = 1 + theta (r - 1), x = r / D, y = 1 / D. Needs requests in both arms.
    """
    canary, canary_events, stable, stable_events = counts
    theta = ratio * canary / (ratio * canary + stable)
    both = canary_events + stable_events
    allowance = canary * absolute
    logs = []
    for multiplier in multipliers:
        spread = 1 + theta * (multiplier - 1)
        growth = canary_events * math.log(multiplier) - both * math.log(spread) - allowance * (multiplier / spread - 1)
        logs.append(min(growth / phi, cap))
    return logs


def log_promote_factors(counts: Counts, *, ratio: float, absolute: float, phi: float, cap: float) -> list[float]:
    """Logarithms of the factors against "canary's rate >= ratio x stable's + absolute", one per promote factor x < 1.

    log g = [k_c ln x + k_s ln y + n_c absolute (1 - x)] / phi with y = 1 + ratio (n_c / n_s) (1 - x). Needs requests
    in both arms.
    """
    canary, canary_events, stable, stable_events = counts
    per_stable = ratio * canary / stable
    allowance = canary * absolute
    logs = []
    for factor in PROMOTE_FACTORS:
        less = 1 - factor
        growth = canary_events * math.log(factor) + stable_events * math.log(1 + per_stable * less) + allowance * less
        logs.append(min(growth / phi, cap))
    return logs


class HarmWealth:
    """Evidence that the canary is worse, mixed over how much worse and over the block in which it began.

    Half of the wealth starts with the first comparable block, the rest is shared out over the blocks planned, so that
    a regression that begins late is found too (sums of e-processes over start times: Shin, Ramdas, Rinaldo,
    e-detectors, NEJSDS 2024). More blocks than planned are valid and add no new start.
    """

    def __init__(self, multipliers: Sequence[float], *, planned_blocks: int, cap: float) -> None:
        self._multipliers = tuple(multipliers)
        self._cap = cap
        self._later_start = (1 - START_AT_ONCE) / max(1, planned_blocks - 1)
        self._starts_left = planned_blocks
        self._not_started = 1.0
        self._components = [0.0] * len(self._multipliers)
        self.value = 1.0

    def multiply(self, counts: Counts, *, ratio: float, absolute: float, phi: float) -> None:
        """Take one block into account; one without requests in either arm says nothing."""
        if not counts.is_comparable:
            return
        start = self._take_start() / len(self._multipliers)
        logs = log_harm_factors(counts, self._multipliers, ratio=ratio, absolute=absolute, phi=phi, cap=self._cap)
        self._components = [
            min((component + start) * math.exp(min(log, LARGEST_LOG_WEALTH)), LARGEST_WEALTH)
            for component, log in zip(self._components, logs, strict=True)
        ]
        self.value = sum(self._components) + self._not_started

    def _take_start(self) -> float:
        if self._starts_left <= 0:
            return 0.0
        start = START_AT_ONCE if self._not_started == 1.0 else self._later_start
        self._starts_left -= 1
        self._not_started = max(0.0, self._not_started - start)
        return start


class PromoteWealth:
    """Evidence that the canary is less than the margin worse: the mean of products over the promote factors."""

    def __init__(self, *, cap: float) -> None:
        self._cap = cap
        self._logs = [0.0] * len(PROMOTE_FACTORS)
        self.value = 1.0

    def multiply(self, counts: Counts, *, ratio: float, absolute: float, phi: float) -> None:
        """Take one block into account; one without requests in either arm says nothing."""
        if not counts.is_comparable:
            return
        factors = log_promote_factors(counts, ratio=ratio, absolute=absolute, phi=phi, cap=self._cap)
        self._logs = [log + factor for log, factor in zip(self._logs, factors, strict=True)]
        self.value = mean_wealth(self._logs)


class SplitWealth:
    """Evidence that the canary's share of the requests is not the one that was set, within a relative tolerance.

    Two one-sided processes, one for too many and one for too few canary requests, mixed over how far off. No cap: a
    router that sends everything to one arm should be found at once.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._logs = [0.0] * (2 * len(SPLIT_MULTIPLIERS))
        self.value = 1.0

    def multiply(self, canary_requests: float, stable_requests: float, *, share: float, phi: float) -> None:
        """Take one block into account; `share` is the part of the traffic (0 to 1) set for the canary."""
        most_canary = min(1.0, share * (1 + self._tolerance))
        most_stable = min(1.0, 1 - share * (1 - self._tolerance))
        requests = canary_requests + stable_requests
        factors = [
            (events * math.log(multiplier) - requests * math.log(1 + theta * (multiplier - 1))) / phi
            for events, theta in ((canary_requests, most_canary), (stable_requests, most_stable))
            for multiplier in SPLIT_MULTIPLIERS
        ]
        self._logs = [log + factor for log, factor in zip(self._logs, factors, strict=True)]
        self.value = mean_wealth(self._logs)


def mean_wealth(logs: Sequence[float]) -> float:
    """The mean of wealths given as logarithms: a mean of e-values is one too (Vovk and Wang, arXiv 1912.06116)."""
    return sum(math.exp(min(log, LARGEST_LOG_WEALTH)) for log in logs) / len(logs)
