"""The door before a real Prefect server that goes down and comes back, and killed itself meanwhile."""

import pytest

from benchmarks.webhook import Plan, measure

pytestmark = [pytest.mark.timeout(400), pytest.mark.server]


def test_each_delivery_is_one_run() -> None:
    """With repeats, forgeries, an outage of Prefect and kill -9 of the door, each accepted delivery is one run."""
    plan = Plan(deliveries=300, duplicates=60, forged=15, rate=60.0, down_seconds=3.0)
    figures = measure(plan)

    assert (figures.runs, figures.doubled, figures.lost, figures.strange) == (225, 0, 0, 0)
    assert figures.statuses[401] == 15
    assert sum(figures.statuses.values()) == 300
    # NOTE: on a machine that does other things beside it; the benchmark is where 200 ms are asked for.
    assert figures.p99_ms < 2000
