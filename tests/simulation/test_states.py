"""States that are neither good nor bad: each must be called by its name, and none may pass."""

import pytest

from tasks.core.judge import CanaryVerdict
from tests.simulation.trials import Trial, most_by_chance, planned_runs, try_canaries
from tests.simulation.world import World

RUNS = 120
WRONG = 0.005
EVERYTHING = ((-1.0, 1e9),)

NAMED = [
    pytest.param(World(silent_from=0), CanaryVerdict.NO_TRAFFIC, id="no traffic"),
    pytest.param(World(requests_per_second=1, silent_from=0), CanaryVerdict.NO_TRAFFIC, id="no traffic, 1 request/s"),
    pytest.param(World(silent_from=200), CanaryVerdict.NO_TRAFFIC, id="traffic stops"),
    pytest.param(
        World(silent_from=0, stable_silent_from=0), CanaryVerdict.NO_TRAFFIC, id="nobody calls, stable neither"
    ),
    pytest.param(World(unread=EVERYTHING), CanaryVerdict.METRICS_DOWN, id="metrics never read"),
    pytest.param(World(unread=((200, 1e9),)), CanaryVerdict.METRICS_DOWN, id="metrics lost on the way"),
    pytest.param(World(true_share=0.3), CanaryVerdict.SPLIT_WRONG, id="three times the share"),
    pytest.param(World(true_share=0.02), CanaryVerdict.SPLIT_WRONG, id="a fifth of the share"),
    pytest.param(World(true_share=0.0), CanaryVerdict.NO_TRAFFIC, id="no share"),
    pytest.param(World(restart_at=95), CanaryVerdict.FAIL, id="restart"),
    pytest.param(World(requests_per_second=1), CanaryVerdict.INCONCLUSIVE, id="1 request/s"),
    pytest.param(World(requests_per_second=5), CanaryVerdict.INCONCLUSIVE, id="5 requests/s"),
]


def trials(world: World) -> list[Trial]:
    return list(try_canaries(world, min(planned_runs(RUNS), 1000)))


@pytest.mark.parametrize(("world", "verdict"), NAMED)
def test_state(world: World, verdict: CanaryVerdict) -> None:
    """At the deadline the state is called by its name in at least 99.5 % of runs."""
    ended = trials(world)
    assert sum(trial.verdict is not verdict for trial in ended) <= most_by_chance(len(ended), WRONG)


@pytest.mark.parametrize("requests_per_second", [1, 5, 50, 200])
def test_a_right_split_is_not_called_wrong(requests_per_second: float) -> None:
    """With the split that was set, no traffic at all and a wrong split are never what a run ends with."""
    ended = trials(World(requests_per_second=requests_per_second))
    wrong = sum(trial.verdict in (CanaryVerdict.SPLIT_WRONG, CanaryVerdict.NO_TRAFFIC) for trial in ended)
    assert wrong <= most_by_chance(len(ended), WRONG)


def test_an_outage_of_the_metrics_is_caught_up_with() -> None:
    """After an outage in the middle, a healthy canary ends as it would have: passing or short of evidence."""
    ended = trials(World(unread=((100, 200),)))
    assert {trial.verdict for trial in ended} <= {CanaryVerdict.PASS, CanaryVerdict.INCONCLUSIVE}
    assert sum(trial.verdict is CanaryVerdict.PASS for trial in ended) > len(ended) / 2


def test_a_regression_shows_through_an_outage() -> None:
    """A bad canary fails though the metrics were unreadable while it began."""
    ended = trials(World(canary_errors=0.05, unread=((10, 60),)))
    assert all(trial.failed_at is not None for trial in ended)
