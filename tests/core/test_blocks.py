"""Counters that restart, appear, vanish and go unread still add up to what happened."""

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.blocks import ArmDifferencing, Delta, Differencing, are_warm, has_reset
from tasks.core.counters import Arm, Counters, Snapshot

SECONDS = 10.0
SLOTS = 24
BOUNDS = (0.1,)


@dataclass(frozen=True)
class Life:
    """An instance's true story, slot by slot: requests as (quick, slow, failed of these), and when it (re)started."""

    events: tuple[tuple[int, int, int], ...]
    starts: frozenset[int]
    present: frozenset[int]

    def process(self, slot: int) -> int:
        return max(start for start in {0, *self.starts} if start <= slot)

    def between(self, after: int, until: int) -> tuple[int, int, tuple[int, int]]:
        """Requests, errors and buckets of slots after one and until another."""
        some = self.events[after + 1 : until + 1]
        quick, slow = sum(event[0] for event in some), sum(event[1] for event in some)
        return quick + slow, sum(event[2] for event in some), (quick, quick + slow)

    def counters(self, slot: int) -> Counters:
        start = self.process(slot)
        requests, errors, buckets = self.between(start - 1, slot)
        # A process begins half a slot before the first slot it counts.
        return Counters(requests, errors, 0, (start - 0.5) * SECONDS, buckets)


def event(quick: int, slow: int, failed: int) -> tuple[int, int, int]:
    return quick, slow, min(failed, quick + slow)


slots = st.integers(0, SLOTS - 1)
events = st.builds(event, st.integers(0, 20), st.integers(0, 5), st.integers(0, 3))
lives = st.builds(
    Life,
    st.lists(events, min_size=SLOTS, max_size=SLOTS).map(tuple),
    st.frozensets(slots, max_size=4),
    st.frozensets(slots, min_size=SLOTS // 2),
)
arms = st.dictionaries(st.sampled_from(["a", "b", "c"]), lives, min_size=1)


def read(arm: dict[str, Life], slot: int) -> Arm:
    return {name: life.counters(slot) for name, life in arm.items() if slot in life.present}


def expected(life: Life, slot: int, seen: int | None, previous: int | None) -> tuple[int, int, tuple[int, int]]:
    """What truly happened since the instance was last seen, as far as its present process can know."""
    start = life.process(slot)
    if seen is None:
        is_news = previous is not None and start - 0.5 > previous
        return life.between(start - 1, slot) if is_news else (0, 0, (0, 0))
    return life.between(max(seen, start - 1), slot)


@given(arms, st.frozensets(slots, min_size=SLOTS // 2))
def test_deltas_are_the_true_events(arm: dict[str, Life], read_at: frozenset[int]) -> None:
    """Whatever restarts, appears, vanishes or goes unread: a block holds exactly the events since the last sight."""
    differencing, seen, previous = Differencing(), dict[str, int](), None
    for slot in range(SLOTS):
        stable = read(arm, slot) if slot in read_at else None
        block = differencing.take(Snapshot(slot * SECONDS, 0.1, {}, stable, BOUNDS))
        if block is None:
            continue
        truth = {name: expected(arm[name], slot, seen.get(name), previous) for name in stable or {}}
        assert {d.instance: (d.requests, d.errors, d.buckets) for d in block.stable} == truth
        seen.update(dict.fromkeys(truth, slot))
        previous = slot


@given(arms)
def test_nothing_is_counted_twice(arm: dict[str, Life]) -> None:
    """All blocks together never hold more than the events that happened."""
    differencing = Differencing()
    blocks = [differencing.take(Snapshot(slot * SECONDS, 0.1, read(arm, slot), {}, BOUNDS)) for slot in range(SLOTS)]
    for name, life in arm.items():
        deltas = [delta for block in blocks if block for delta in block.canary if delta.instance == name]
        assert sum(delta.requests for delta in deltas) <= life.between(-1, SLOTS - 1)[0]


@pytest.mark.parametrize(
    ("before", "now", "is_reset"),
    [
        pytest.param(Counters(5, 1), Counters(6, 1), False, id="went on"),
        pytest.param(Counters(5, 1), Counters(4, 1), True, id="requests fell"),
        pytest.param(Counters(5, 1), Counters(6, 0), True, id="errors fell"),
        pytest.param(Counters(5, 1, 0, None, (1, 5)), Counters(6, 1, 0, None, (1, 4)), True, id="buckets fell"),
        pytest.param(Counters(5, 1, 0, 100.0), Counters(9, 1, 0, 150.0), True, id="started later, counts more"),
        pytest.param(Counters(5, 1, 0, 100.0), Counters(9, 1, 0, 100.4), False, id="start trembles"),
        pytest.param(Counters(5, 1, 0, None), Counters(9, 1, 0, 100.0), False, id="start became known"),
    ],
)
def test_reset(before: Counters, now: Counters, is_reset: bool) -> None:
    """A process restarted when a counter fell, or when it says so."""
    assert has_reset(before, now) is is_reset


@pytest.mark.parametrize(
    ("first", "second", "ages"),
    [
        pytest.param(Counters(5, 0), Counters(9, 0), [0.0, math.inf], id="old, says nothing"),
        pytest.param(Counters(5, 0, 0, -70.0), Counters(9, 0, 0, -70.0), [0.0, 70.0], id="says when it started"),
        pytest.param(Counters(5, 0), Counters(2, 0), [0.0, 0.0], id="restarted"),
    ],
)
def test_age_of_an_established_instance(first: Counters, second: Counters, ages: list[float]) -> None:
    """A block is as old as the process was when the block began; those there at first count as old."""
    arm = ArmDifferencing()
    deltas = [
        *arm.advance(0, {"a": first}, previous_at=None, is_established=True),
        *arm.advance(10, {"a": second}, previous_at=0, is_established=True),
    ]
    assert [delta.age_seconds for delta in deltas] == ages


def test_new_instances_warm_up() -> None:
    """An instance that came later and says nothing is as old as the time since it was first seen, in either arm."""
    arm = ArmDifferencing()
    arm.advance(0, {}, previous_at=None, is_established=True)
    seen = [arm.advance(at, {"a": Counters(at, 0)}, previous_at=at - 10, is_established=True) for at in (10, 20, 30)]
    assert [are_warm(deltas, 10) != () for deltas in seen] == [False, False, True]


def test_more_errors_than_requests() -> None:
    """Counters scraped at slightly different moments never give more errors than requests."""
    arm = ArmDifferencing()
    arm.advance(0, {"a": Counters(10, 0)}, previous_at=None)
    assert arm.advance(10, {"a": Counters(12, 5)}, previous_at=0) == (Delta("a", 2, 2, (), 0.0),)


def test_other_bounds_are_not_compared() -> None:
    """Buckets of another layout are left out, and requests and errors still count."""
    differencing = Differencing()
    differencing.take(Snapshot(0, 0.1, {}, {"a": Counters(10, 0, 0, None, (5, 10))}, (0.1,)))
    block = differencing.take(Snapshot(10, 0.1, {}, {"a": Counters(30, 0, 0, None, (5, 30))}, (0.2,)))
    assert block is not None
    assert [(delta.requests, delta.buckets) for delta in block.stable] == [(20, ())]


def test_share_that_changed_within_a_block() -> None:
    """A block in which the share was set anew has none, since neither the old nor the new one was in force."""
    differencing = Differencing()
    blocks = [differencing.take(Snapshot(at, share, {}, {})) for at, share in ((0, 0.1), (10, 0.1), (20, 0.5))]
    assert [block.share for block in blocks if block] == [None, 0.1, None]


def test_history_is_a_base_for_stable() -> None:
    """What stable counted between the last of the history and the first full reading is stable's first delta."""
    differencing = Differencing()
    assert differencing.learn(Snapshot(-10, 0, None, {"a": Counters(100, 1)})) == (Delta("a", 0, 0, (), 0.0),)
    assert differencing.learn(Snapshot(-5, 0, None, None)) == ()
    block = differencing.take(Snapshot(0, 0.1, {"c": Counters(7, 7)}, {"a": Counters(150, 2)}))
    assert block is not None
    assert [delta.requests for delta in (*block.stable, *block.canary)] == [50, 0]
    assert block.seconds == 0
