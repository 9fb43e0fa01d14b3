"""Healthy and harmful canaries in a world whose truth is known: how often, and how soon, each is called right.

The figures of docs/judge.md come from `python -m benchmarks.judge`; here are the promises, with room for chance.
"""

import pytest

from tasks.core.overdispersion import Overdispersion
from tests.simulation.trials import most_by_chance, planned_runs, quantile, try_canaries
from tests.simulation.world import Company, World

ALPHA = 0.02
BETA = 0.05
SHARE_AT_MARGIN = 0.015

COMPANIES = [pytest.param(company, id=str(company)) for company in Company]


@pytest.mark.parametrize("company", COMPANIES)
def test_false_aborts(company: Company) -> None:
    """A canary that is no different is aborted with a probability of at most alpha, however errors come."""
    runs = planned_runs(400)
    aborted = sum(trial.failed_at is not None for trial in try_canaries(World(company=company), runs))
    assert aborted <= most_by_chance(runs, ALPHA)


def test_false_aborts_of_independent_errors() -> None:
    """With independent errors false aborts are far rarer still: at most one in two hundred."""
    runs = planned_runs(400)
    aborted = sum(
        trial.failed_at is not None for trial in try_canaries(World(stable_errors=0.01, canary_errors=0.01), runs)
    )
    assert aborted <= most_by_chance(runs, 0.005)


@pytest.mark.parametrize(
    ("world", "found", "median", "ninth"),
    [
        pytest.param(World(canary_errors=0.05), 0.995, 50, 80, id="0.5 to 5 %"),
        pytest.param(World(stable_errors=0.01, canary_errors=0.10), 0.995, 30, 60, id="1 to 10 %"),
        pytest.param(World(canary_errors=0.02), 0.90, 180, 300, id="0.5 to 2 %"),
        pytest.param(World(stable_errors=0.001, canary_errors=0.01), 0.90, 180, 300, id="0.1 to 1 %"),
        pytest.param(World(canary_slower=0.5), 0.995, 60, 70, id="half slower"),
    ],
)
def test_regressions(world: World, found: float, median: float, ninth: float) -> None:
    """A worse canary is aborted as surely and as soon as published: seconds for half and for nine in ten."""
    runs = planned_runs(250)
    times = [trial.failed_at for trial in try_canaries(world, runs)]
    aborted = [time for time in times if time is not None]
    assert runs - len(aborted) <= most_by_chance(runs, 1 - found)
    assert quantile(list(aborted), 0.5) <= median
    assert quantile(list(aborted), 0.9) <= ninth


@pytest.mark.parametrize("company", COMPANIES)
def test_false_promotions(company: Company) -> None:
    """A canary at the margin, one point more errors, can ever be promoted with a probability of at most beta."""
    runs = planned_runs(250)
    world = World(company=company, canary_errors=SHARE_AT_MARGIN)
    promoted = sum(trial.passed_at is not None for trial in try_canaries(world, runs))
    assert promoted <= most_by_chance(runs, BETA)


def test_without_phi_bursts_promote_bad_canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is phi that keeps luck from promoting: without it the same canaries at the margin pass far beyond beta."""
    monkeypatch.setattr(Overdispersion, "phi", lambda *_: 1.0)
    world = World(company=Company.PHI_9, canary_errors=SHARE_AT_MARGIN)
    promoted = sum(trial.passed_at is not None for trial in try_canaries(world, 150))
    assert promoted > most_by_chance(150, BETA)


def test_false_promotions_of_slow_canaries() -> None:
    """A canary a quarter slower, the margin of latency, is promoted with a probability of at most beta."""
    runs = planned_runs(250)
    promoted = sum(trial.passed_at is not None for trial in try_canaries(World(canary_slower=0.25), runs))
    assert promoted <= most_by_chance(runs, BETA)


@pytest.mark.parametrize(
    ("requests_per_second", "least"), [pytest.param(50, 0.81, id="50/s"), pytest.param(200, 0.995, id="200/s")]
)
def test_promotions(requests_per_second: float, least: float) -> None:
    """A healthy canary can be promoted in time as often as published."""
    runs = planned_runs(250)
    world = World(requests_per_second=requests_per_second)
    promoted = sum(trial.passed_at is not None for trial in try_canaries(world, runs))
    assert runs - promoted <= most_by_chance(runs, 1 - least)
