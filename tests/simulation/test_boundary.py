"""A canary exactly at the tolerance, or at the margin, looked at 300 times: the promise at its very edge.

Requests come in blocks of 50 for the canary and 450 for stable. The evidence is given phi, as large as the bursts are,
and no cap, which could only help it.
"""

import math
import random
from collections.abc import Callable

import pytest

from tasks.core.sequential import ERROR_MULTIPLIERS, Counts, HarmWealth, PromoteWealth
from tests.simulation.trials import most_by_chance, planned_runs
from tests.simulation.world import draw_binomial

ALPHA = 0.02
BETA = 0.05
LOOKS = 300
RUNS = 600
RATIO = 1.05
ABSOLUTE = 0.0002
MARGIN = 0.01
CANARY, STABLE = 50, 450
WAVE = tuple(round(0.03 * (1 + math.sin(step / 10)), 4) for step in range(LOOKS))


def steady(rate: float) -> Callable[[int], float]:
    return lambda _: rate


def wave(look: int) -> float:
    """Stable's own rate between 0 and 6 %, so that no two blocks are alike."""
    return WAVE[look]


def draw(source: random.Random, requests: int, rate: float, burst: int) -> int:
    """Events of a given rate that always come `burst` at a time."""
    return burst * draw_binomial(source, requests // burst, min(1.0, rate))


def harm_crosses(source: random.Random, rate: Callable[[int], float], burst: int, phi: float) -> bool:
    wealth = HarmWealth(ERROR_MULTIPLIERS, planned_blocks=30, cap=math.inf)
    for look in range(LOOKS):
        canary = draw(source, CANARY, RATIO * rate(look) + ABSOLUTE, burst)
        stable = draw(source, STABLE, rate(look), burst)
        wealth.multiply(Counts(CANARY, canary, STABLE, stable), ratio=RATIO, absolute=ABSOLUTE, phi=phi)
        if wealth.value >= 1 / ALPHA:
            return True
    return False


def promote_crosses(source: random.Random, rate: Callable[[int], float], burst: int, phi: float) -> bool:
    wealth = PromoteWealth(cap=math.inf)
    for look in range(LOOKS):
        canary = draw(source, CANARY, rate(look) + MARGIN, burst)
        stable = draw(source, STABLE, rate(look), burst)
        wealth.multiply(Counts(CANARY, canary, STABLE, stable), ratio=1, absolute=MARGIN, phi=phi)
        if wealth.value >= 1 / BETA:
            return True
    return False


AT_THE_EDGE = [
    pytest.param(steady(0.0), 1, id="no errors"),
    pytest.param(steady(0.005), 1, id="0.5 %"),
    pytest.param(steady(0.20), 1, id="20 %"),
    pytest.param(wave, 1, id="changing"),
    pytest.param(steady(0.02), 5, id="bursts of five"),
]


@pytest.mark.parametrize(("rate", "burst"), AT_THE_EDGE)
def test_harm(rate: Callable[[int], float], burst: int) -> None:
    """A canary exactly at the tolerance is called harmful within 300 looks with a probability of at most alpha."""
    runs = planned_runs(RUNS)
    source = random.Random(11)
    crossed = sum(harm_crosses(source, rate, burst, float(burst)) for _ in range(runs))
    assert crossed <= most_by_chance(runs, ALPHA)


@pytest.mark.parametrize(("rate", "burst"), AT_THE_EDGE)
def test_promotion(rate: Callable[[int], float], burst: int) -> None:
    """A canary exactly at the margin is called healthy within 300 looks with a probability of at most beta."""
    runs = planned_runs(RUNS)
    source = random.Random(12)
    crossed = sum(promote_crosses(source, rate, burst, float(burst)) for _ in range(runs))
    assert crossed <= most_by_chance(runs, BETA)


def test_without_phi_the_promise_breaks() -> None:
    """Taken as independent, errors in bursts of five cross in most runs: it is phi that keeps the promise."""
    source = random.Random(13)
    assert sum(harm_crosses(source, steady(0.05), 5, 1.0) for _ in range(100)) > 50
    assert sum(promote_crosses(source, steady(0.05), 5, 1.0) for _ in range(100)) > 50
