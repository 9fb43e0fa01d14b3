"""From what instances say to two arms that can be compared."""

import math

from tasks.core.counters import Counters
from tasks.core.scrapes import Reading, Scrape, snapshot_of

INFINITE = math.inf


def scrape(name: str, reading: Reading | None) -> Scrape:
    return Scrape(name, reading, restarts=2, started=7.0)


def test_an_arm_holds_what_could_be_read() -> None:
    """An instance that gave no answer is left out, and its fellows are not."""
    stable = [scrape("a", Reading(10, 1)), scrape("b", None)]
    found = snapshot_of(5.0, 0.1, canary=[], stable=stable)
    assert found.stable == {"a": Counters(10, 1, restarts=2, started=7.0)}


def test_no_answer_is_not_no_instance() -> None:
    """An arm nobody could read is None, an arm of nobody is empty."""
    found = snapshot_of(5.0, 0.1, canary=[scrape("a", None)], stable=[])
    assert (found.canary, found.stable) == (None, {})


def test_only_common_bounds_are_compared() -> None:
    """Releases with other buckets are counted at the bounds both have."""
    old = Reading(4, 0, {0.1: 1, 0.5: 2, INFINITE: 4})
    new = Reading(9, 0, {0.1: 3, 0.2: 5, INFINITE: 9})
    found = snapshot_of(0.0, 0.0, canary=[scrape("n", new)], stable=[scrape("o", old)])
    assert found.bounds == (0.1,)
    assert found.canary is not None
    assert found.stable is not None
    assert (found.canary["n"].buckets, found.stable["o"].buckets) == ((3, 9), (1, 4))


def test_an_instance_without_requests_takes_no_bounds_away() -> None:
    """A histogram that has not begun says nothing about buckets."""
    found = snapshot_of(
        0.0, 0.0, canary=[scrape("n", Reading(0, 0))], stable=[scrape("o", Reading(1, 0, {1.0: 1, INFINITE: 1}))]
    )
    assert found.bounds == (1.0,)
    assert found.canary is not None
    assert found.canary["n"].buckets == ()
