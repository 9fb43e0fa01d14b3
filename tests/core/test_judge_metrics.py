"""How a block of latency becomes evidence, at each bound and with stable's own distribution as the measure."""

import pytest

from tasks.core.blocks import Delta
from tasks.core.canary_policy import JudgePolicy
from tasks.core.judge_metrics import (
    LATENCY_ABSOLUTE,
    PROMOTE_LATENCY_ABSOLUTE,
    PROMOTE_LATENCY_RATIO,
    LatencyMetric,
    make_harm,
    make_promote,
)
from tasks.core.latency_bounds import ratio_over
from tasks.core.sequential import LATENCY_MULTIPLIERS, Counts

BOUNDS = (0.1, 0.5)
OVER = [0.2, 0.0]
STABLE = Delta("stable", 1000, 0, (800, 1000, 1000), 1e6)
CANARY = Delta("canary", 100, 0, (70, 97, 100), 1e6)


def judged(policy: JudgePolicy) -> LatencyMetric:
    metric = LatencyMetric(policy)
    metric.learn((STABLE,))
    metric.judge((CANARY,), (STABLE,), BOUNDS)
    return metric


@pytest.mark.parametrize("slower", [0.0, 0.05, 0.2])
def test_harm(slower: float) -> None:
    """Harm is the mean over the bounds tested, each tolerating what stable would do if it were that much slower."""
    policy = JudgePolicy(latency_slower=slower)
    wealths = []
    for index, slow in enumerate((30, 3)):
        harm = make_harm(policy, LATENCY_MULTIPLIERS)
        stable_slow = 200 if index == 0 else 0
        phi = max(1.0, policy.phi_prior)
        harm.multiply(
            Counts(100, slow, 1000, stable_slow),
            ratio=ratio_over(BOUNDS, OVER, index, slower),
            absolute=LATENCY_ABSOLUTE,
            phi=phi,
        )
        wealths.append(harm.value)
    assert judged(policy).harm_wealth == pytest.approx(sum(wealths) / 2)


@pytest.mark.parametrize(
    ("slower", "ratio"),
    [
        pytest.param(0.05, PROMOTE_LATENCY_RATIO, id="the least margin"),
        pytest.param(0.25, ratio_over(BOUNDS, OVER, 0, 0.25), id="the margin of the policy"),
    ],
)
def test_health(slower: float, ratio: float) -> None:
    """Health is shown at the bound nearest to one in twenty, with a margin of a fifth more slow requests at least."""
    policy = JudgePolicy(promote_latency_slower=slower)
    promote = make_promote(policy)
    promote.multiply(Counts(100, 30, 1000, 200), ratio=ratio, absolute=PROMOTE_LATENCY_ABSOLUTE, phi=policy.phi_prior)
    assert judged(policy).promote_wealth == pytest.approx(promote.value)


def test_worst_bound() -> None:
    """The bound that speaks loudest is the one told, with both arms' counts over it."""
    assert judged(JudgePolicy()).worst_bound == (0.5, Counts(100, 3, 1000, 0))


def test_too_little_of_stable() -> None:
    """Before stable has shown 200 requests there are no bounds, and nothing is compared."""
    metric = LatencyMetric(JudgePolicy())
    few = Delta("stable", 199, 0, (150, 199, 199), 1e6)
    metric.learn((few,))
    metric.judge((CANARY,), (STABLE,), BOUNDS)
    assert (metric.harm_wealth, metric.promote_wealth, metric.is_measured) == (1.0, 1.0, False)


def test_young_instances_are_left_out() -> None:
    """An instance younger than the warm-up has no part in the latency of its arm."""
    metric = LatencyMetric(JudgePolicy())
    metric.learn((STABLE,))
    metric.judge((CANARY._replace(age_seconds=29),), (STABLE,), BOUNDS)
    assert not metric.is_measured
    assert metric.canary_p95_seconds is None
