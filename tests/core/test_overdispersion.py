"""How much events come in company, measured on stable alone."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.overdispersion import InstanceEvents, Overdispersion, ShareDispersion, spread

counts = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 50)).map(lambda pair: (float(pair[0]), float(min(pair)))), max_size=12
)


def tracker() -> Overdispersion:
    return Overdispersion(prior=1.5, prior_events=4, slack=0.8)


def blocks(instances: int, *, burst: int = 1, length: int = 200, seed: int = 1) -> Iterator[list[InstanceEvents]]:
    """Blocks of 200 requests per instance with 4 events on average, always `burst` of them together."""
    source = random.Random(seed)
    for _ in range(length):
        yield [
            InstanceEvents(str(number), 200, burst * sum(source.random() < 0.02 / burst for _ in range(200)))
            for number in range(instances)
        ]


@pytest.mark.parametrize(
    ("burst", "instances", "least", "most"),
    [
        pytest.param(1, 9, 1.0, 1.15, id="alone"),
        pytest.param(5, 9, 4.2, 5.8, id="in fives"),
        pytest.param(5, 2, 4.0, 6.0, id="in fives, two instances"),
        pytest.param(5, 1, 3.8, 6.2, id="in fives, one instance"),
    ],
)
def test_bursts_are_measured(burst: int, instances: int, least: float, most: float) -> None:
    """Phi comes to the size of the bursts, and to 1 where there are none, however many instances there are."""
    measured = tracker()
    for block in blocks(instances, burst=burst):
        measured.learn(block)
    assert least <= measured.short <= most


def test_bursts_longer_than_a_scrape() -> None:
    """Spells that last for several scrapes are seen in the sums of six, where single blocks hide them."""
    measured = tracker()
    for number in range(60):
        afflicted = (number // 6) % 3
        measured.learn([InstanceEvents(str(index), 100, 5 if index == afflicted else 0) for index in range(3)])
    assert measured.short > 12


def test_bursts_that_take_turns() -> None:
    """Bursts that even out between instances over six scrapes are seen in the single ones."""
    measured = tracker()
    for number in range(60):
        measured.learn([InstanceEvents(str(index), 100, 5 if index == number % 3 else 0) for index in range(3)])
    assert measured.short > 4


def test_a_common_swing_cancels() -> None:
    """When all instances fail together, that is no company: the arms meet the same rate."""
    measured = tracker()
    for number in range(60):
        measured.learn([InstanceEvents(str(index), 100, 40 if number % 2 else 0) for index in range(5)])
    assert measured.phi(1000) == 1.0


def test_lasting_differences_grow_with_requests() -> None:
    """An instance that is worse for good adds to phi with every request the canary has had."""
    measured = tracker()
    for _ in range(60):
        measured.learn([InstanceEvents(str(index), 100, 8 if index == 0 else 1) for index in range(6)])
    assert measured.phi(0) == pytest.approx(measured.short)
    assert measured.phi(2000) > measured.phi(1000) + 1


def test_prior_before_anything_is_seen() -> None:
    """Until events were seen, phi is what was assumed; every event seen moves it on."""
    measured = tracker()
    assert measured.phi(0) == 1.5
    measured.learn([InstanceEvents(str(index), 1000, 0) for index in range(3)])
    assert measured.phi(0) == 1.5
    measured.learn([InstanceEvents("0", 1000, 4), InstanceEvents("1", 1000, 4)])
    assert measured.phi(0) < 1.5


@given(st.lists(counts, max_size=20), st.floats(0, 1e6))
def test_never_below_one(history: list[list[tuple[float, float]]], canary_requests: float) -> None:
    """Phi never makes evidence stronger than that of independent events, whatever was learned."""
    measured = tracker()
    for block in history:
        measured.learn([InstanceEvents(str(index), *pair) for index, pair in enumerate(block)])
    assert measured.phi(canary_requests) >= 1


@given(counts)
def test_spread_is_pearsons(pairs: list[tuple[float, float]]) -> None:
    """The running form gives the sum of squares about the common rate, and what chance alone would give."""
    total, events = sum(requests for requests, _ in pairs), sum(count for _, count in pairs)
    if not total or not events:
        assert spread(pairs) == (0, 0, 0)
        return
    rate = events / total
    squares = sum((count - requests * rate) ** 2 for requests, count in pairs)
    expected = sum(requests * rate * (1 - requests / total) for requests, _ in pairs)
    assert spread(pairs) == pytest.approx((squares, expected, rate), abs=1e-6)


def test_lumpy_share() -> None:
    """A share that jumps from block to block has a phi to match, but only its own swings count, not its mean."""
    lumpy, even = ShareDispersion(10), ShareDispersion(10)
    for number in range(60):
        lumpy.learn(1000, 300 if number % 2 else 100)
        even.learn(1000, 300)
    assert lumpy.phi() > 50
    assert even.phi() == 10
