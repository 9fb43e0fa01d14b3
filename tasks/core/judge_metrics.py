"""Errors and latency as the judge sees them: counts of events in blocks, turned into evidence of harm and of health.

Each metric keeps its wealths and its overdispersion together, since the order matters: a block is first judged with
what earlier blocks taught, then learned from. A metric that has never been compared has a harm and a promote wealth
of 1, which neither aborts nor promotes.
"""

from collections.abc import Sequence
from operator import add

from tasks.core.blocks import Delta, Deltas, are_warm
from tasks.core.canary_policy import JudgePolicy
from tasks.core.latency_bounds import choose_bounds, choose_promote_bound, quantile_seconds, ratio_over, shares_over
from tasks.core.overdispersion import InstanceEvents, Overdispersion
from tasks.core.sequential import (
    ERROR_MULTIPLIERS,
    LATENCY_MULTIPLIERS,
    Counts,
    HarmWealth,
    PromoteWealth,
    harm_cap,
    promote_cap,
)

LATENCY_ABSOLUTE = 0.0005
PROMOTE_LATENCY_ABSOLUTE = 0.002
PROMOTE_LATENCY_RATIO = 1.2
STABLE_REQUESTS_FOR_BOUNDS = 200


def make_tracker(policy: JudgePolicy) -> Overdispersion:
    return Overdispersion(prior=policy.phi_prior, prior_events=policy.phi_prior_events, slack=policy.instance_slack)


def make_harm(policy: JudgePolicy, multipliers: Sequence[float]) -> HarmWealth:
    cap = harm_cap(len(multipliers), policy.alpha, policy.min_blocks)
    return HarmWealth(multipliers, planned_blocks=policy.planned_blocks, cap=cap)


def make_promote(policy: JudgePolicy) -> PromoteWealth:
    return PromoteWealth(cap=promote_cap(policy.beta, policy.promote_min_blocks))


class ErrorMetric:
    """Failed requests of both arms, instances in their first seconds left out."""

    def __init__(self, policy: JudgePolicy) -> None:
        self._policy = policy
        self._tracker = make_tracker(policy)
        self._harm = make_harm(policy, ERROR_MULTIPLIERS)
        self._promote = make_promote(policy)
        self._canary_requests = 0.0

    @property
    def harm_wealth(self) -> float:
        return self._harm.value

    @property
    def promote_wealth(self) -> float:
        return self._promote.value

    @property
    def phi(self) -> float:
        """The overdispersion the next block would be judged with, at least 1."""
        return self._tracker.phi(self._canary_requests)

    def judge(self, canary: Deltas, stable: Deltas) -> None:
        """Compare the arms in one block."""
        policy = self._policy
        counts = Counts(*self._totals(canary), *self._totals(stable))
        if not counts.is_comparable:
            return
        phi = self.phi
        self._harm.multiply(counts, ratio=policy.error_ratio, absolute=policy.error_absolute, phi=phi)
        self._promote.multiply(
            counts, ratio=policy.promote_error_ratio, absolute=policy.promote_error_absolute, phi=phi
        )
        self._canary_requests += counts.canary_requests

    def learn(self, stable: Deltas) -> None:
        """Take in stable's part of a block, after it was judged."""
        warm = are_warm(stable, self._policy.warmup_error_seconds)
        self._tracker.learn([InstanceEvents(delta.instance, delta.requests, delta.errors) for delta in warm])

    def _totals(self, deltas: Deltas) -> tuple[float, float]:
        warm = are_warm(deltas, self._policy.warmup_error_seconds)
        return sum(delta.requests for delta in warm), sum(delta.errors for delta in warm)


class _Bound:
    """Requests slower than one bound of the histogram."""

    def __init__(self, policy: JudgePolicy, index: int) -> None:
        self.index = index
        self.harm = make_harm(policy, LATENCY_MULTIPLIERS)
        self.tracker = make_tracker(policy)

    def counts(self, canary: Sequence[float], stable: Sequence[float]) -> Counts:
        return Counts(canary[-1], canary[-1] - canary[self.index], stable[-1], stable[-1] - stable[self.index])

    def learn(self, stable: Sequence[Delta]) -> None:
        index = self.index
        self.tracker.learn(
            [
                InstanceEvents(delta.instance, delta.buckets[-1], delta.buckets[-1] - delta.buckets[index])
                for delta in stable
            ]
        )


class LatencyMetric:
    """Slow requests of both arms at several bounds, young instances left out.

    The bounds are chosen once, when stable has shown enough of its latency; until then its blocks are kept, so that the
    trackers of the chosen bounds start with all of them.
    """

    def __init__(self, policy: JudgePolicy) -> None:
        self._policy = policy
        self._bounds: tuple[float, ...] = ()
        self._tested: list[_Bound] = []
        self._promote_at: _Bound | None = None
        self._promote = make_promote(policy)
        self._early: list[Deltas] = []
        self._stable: tuple[float, ...] = ()
        self._canary: tuple[float, ...] = ()
        self._stable_since: tuple[float, ...] = ()
        self._canary_requests = 0.0

    @property
    def harm_wealth(self) -> float:
        if not self._tested:
            return 1.0
        return sum(bound.harm.value for bound in self._tested) / len(self._tested)

    @property
    def promote_wealth(self) -> float:
        return self._promote.value

    @property
    def phi(self) -> float:
        """The overdispersion at the bound that promotes, at least 1."""
        return 1.0 if self._promote_at is None else self._promote_at.tracker.phi(self._canary_requests)

    @property
    def is_measured(self) -> bool:
        """Whether the arms could be compared at all so far."""
        return self._canary_requests > 0

    @property
    def canary_p95_seconds(self) -> float | None:
        return quantile_seconds(self._bounds, self._canary)

    @property
    def stable_p95_seconds(self) -> float | None:
        return quantile_seconds(self._bounds, self._stable_since)

    @property
    def worst_bound(self) -> tuple[float, Counts] | None:
        """The bound (seconds) with the most evidence of harm, and both arms' counts over it since the canary began."""
        if not self._tested or not self._canary or not self._stable_since:
            return None
        worst = max(self._tested, key=lambda bound: bound.harm.value)
        return self._bounds[worst.index], worst.counts(self._canary, self._stable_since)

    def judge(self, canary: Deltas, stable: Deltas, bounds: tuple[float, ...]) -> None:
        """Compare the arms in one block; `bounds` are the histogram's, in seconds."""
        self._bounds = bounds
        canary_buckets, stable_buckets = _summed(self._warm(canary)), _summed(self._warm(stable))
        if not canary_buckets or not stable_buckets or canary_buckets[-1] <= 0 or stable_buckets[-1] <= 0:
            return
        self._choose()
        self._multiply(canary_buckets, stable_buckets)
        self._canary = _added(self._canary, canary_buckets)
        self._stable_since = _added(self._stable_since, stable_buckets)

    def learn(self, stable: Deltas) -> None:
        """Take in stable's part of a block, after it was judged."""
        warm = self._warm(stable)
        if not warm:
            return
        self._stable = _added(self._stable, _summed(warm))
        if not self._tested:
            self._early.append(warm)
        for bound in self._tested:
            bound.learn(warm)

    def _choose(self) -> None:
        if self._tested or not self._stable or self._stable[-1] < STABLE_REQUESTS_FOR_BOUNDS:
            return
        over = shares_over(self._stable)
        self._tested = [_Bound(self._policy, index) for index in choose_bounds(over)]
        if not self._tested:
            return
        promote = choose_promote_bound(over, [bound.index for bound in self._tested])
        self._promote_at = next(bound for bound in self._tested if bound.index == promote)
        for warm in self._early:
            for bound in self._tested:
                bound.learn(warm)
        self._early = []

    def _multiply(self, canary: tuple[float, ...], stable: tuple[float, ...]) -> None:
        policy, promote_at = self._policy, self._promote_at
        if promote_at is None:
            return
        over = shares_over(self._stable)
        for bound in self._tested:
            bound.harm.multiply(
                bound.counts(canary, stable),
                ratio=ratio_over(self._bounds, over, bound.index, policy.latency_slower),
                absolute=LATENCY_ABSOLUTE,
                phi=bound.tracker.phi(self._canary_requests),
            )
        margin = ratio_over(self._bounds, over, promote_at.index, policy.promote_latency_slower)
        self._promote.multiply(
            promote_at.counts(canary, stable),
            ratio=max(PROMOTE_LATENCY_RATIO, margin),
            absolute=PROMOTE_LATENCY_ABSOLUTE,
            phi=self.phi,
        )
        self._canary_requests += canary[-1]

    def _warm(self, deltas: Deltas) -> Deltas:
        return tuple(delta for delta in are_warm(deltas, self._policy.warmup_latency_seconds) if delta.buckets)


def _summed(deltas: Deltas) -> tuple[float, ...]:
    return tuple(map(sum, zip(*(delta.buckets for delta in deltas), strict=True)))


def _added(before: tuple[float, ...], more: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(map(add, before, more)) if before else more
