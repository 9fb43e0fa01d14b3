"""What happened between two scrapes, out of counters that restart, appear, vanish and go unread.

A counter's difference is only what happened if one looks at each instance by itself: sums over instances jump when
one comes or goes, and rates hide resets. The differencing promises that each event an instance has counted appears in
exactly one block, or in none where it cannot be told when it happened; what must never happen is that counts from
before the canary, or of a process that has since restarted, are taken for news.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import sub
from typing import NamedTuple

from tasks.core.counters import Arm, Counters, Snapshot

# A start time is often derived from a clock that is read anew each time, so it trembles; a restart takes longer.
START_TREMOR_SECONDS = 1.0


class Delta(NamedTuple):
    """What one instance counted in one block.

    `buckets` are requests at or under each bound, the last one all of them, empty where they cannot be compared.
    `age_seconds` is how old the process was when the block began: infinite for one that was there before the judge.
    """

    instance: str
    requests: float
    errors: float
    buckets: tuple[float, ...]
    age_seconds: float


Deltas = tuple[Delta, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """The difference between two good snapshots, `seconds` long and ending at `at`.

    `share` is the part of the traffic that was set for the canary throughout, None when it changed on the way.
    """

    at: float
    seconds: float
    share: float | None
    canary: Deltas
    stable: Deltas


class _Seen(NamedTuple):
    at: float
    counters: Counters
    born: float


class ArmDifferencing:
    """The last counters of each instance of one arm, kept over missed scrapes and while an instance is away."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._is_first = True

    def advance(self, at: float, arm: Arm, *, previous_at: float | None, is_established: bool = False) -> Deltas:
        """What each instance present counted since it was last seen.

        `previous_at` is when the arm was last read in full, None at first. Instances of an established arm that are
        present at its first reading, and do not say when they started, count as old.
        """
        deltas = tuple(
            self._take(at, instance, counters, previous_at, is_old=is_established and self._is_first)
            for instance, counters in arm.items()
        )
        self._is_first = False
        return deltas

    def _take(self, at: float, instance: str, now: Counters, previous_at: float | None, *, is_old: bool) -> Delta:
        before = self._seen.get(instance)
        if before is None:
            born = now.started if now.started is not None else (-math.inf if is_old else at)
            is_news = previous_at is not None and now.started is not None and now.started > previous_at
            delta = _whole(instance, now) if is_news else _nothing(instance, now)
        elif has_reset(before.counters, now):
            born = at if now.started is None else now.started
            delta = _whole(instance, now)
        else:
            born = before.born
            delta = _difference(instance, before.counters, now, before.at - born)
        self._seen[instance] = _Seen(at, now, born)
        return delta


class Differencing:
    """Blocks out of snapshots, in their order.

    Snapshots of the history are told apart by `learn`: they have no canary, so nothing but stable can be learned.
    """

    def __init__(self) -> None:
        self.bounds: tuple[float, ...] = ()
        self._canary = ArmDifferencing()
        self._stable = ArmDifferencing()
        self._stable_at: float | None = None
        self._good: Snapshot | None = None

    @property
    def good_at(self) -> float | None:
        """When both arms were last read together, in seconds after the canary began; None before that."""
        return None if self._good is None else self._good.at

    def learn(self, snapshot: Snapshot) -> Deltas:
        """Stable's part of a snapshot from before the canary; empty when it was not read."""
        if snapshot.stable is None:
            return ()
        return self._advance_stable(snapshot.at, self._comparable(snapshot, snapshot.stable))

    def take(self, snapshot: Snapshot) -> Block | None:
        """The block this snapshot ends, or None when it was not read in full.

        The first full reading gives a block too, but its canary counts nothing yet: it is the base of all others.
        """
        if snapshot.canary is None or snapshot.stable is None:
            return None
        good = self._good
        canary = self._canary.advance(
            snapshot.at,
            self._comparable(snapshot, snapshot.canary),
            previous_at=None if good is None else good.at,
        )
        stable = self._advance_stable(snapshot.at, self._comparable(snapshot, snapshot.stable))
        self._good = snapshot
        return Block(
            at=snapshot.at,
            seconds=0.0 if good is None else snapshot.at - good.at,
            share=snapshot.share if good is not None and good.share == snapshot.share else None,
            canary=canary,
            stable=stable,
        )

    def _advance_stable(self, at: float, arm: Arm) -> Deltas:
        deltas = self._stable.advance(at, arm, previous_at=self._stable_at, is_established=True)
        self._stable_at = at
        return deltas

    def _comparable(self, snapshot: Snapshot, arm: Arm) -> Arm:
        """The arm without buckets that do not belong to the bounds first seen: they cannot be set against them."""
        self.bounds = self.bounds or snapshot.bounds
        width = len(self.bounds) + 1 if snapshot.bounds == self.bounds else 0
        if all(len(counters.buckets) in (0, width) for counters in arm.values()):
            return arm
        return {
            instance: counters if len(counters.buckets) == width else replace(counters, buckets=())
            for instance, counters in arm.items()
        }


def has_reset(before: Counters, now: Counters) -> bool:
    """Whether the process restarted: a counter fell, or it says that it started later."""
    if now.requests < before.requests or now.errors < before.errors:
        return True
    if before.buckets and now.buckets and now.buckets[-1] < before.buckets[-1]:
        return True
    if now.started is None or before.started is None:
        return False
    return now.started > before.started + START_TREMOR_SECONDS


def _whole(instance: str, now: Counters) -> Delta:
    return Delta(instance, now.requests, min(now.errors, now.requests), now.buckets, 0.0)


def _nothing(instance: str, now: Counters) -> Delta:
    return Delta(instance, 0.0, 0.0, (0.0,) * len(now.buckets), 0.0)


def _difference(instance: str, before: Counters, now: Counters, age_seconds: float) -> Delta:
    requests = now.requests - before.requests
    errors = min(now.errors - before.errors, requests)
    same_width = len(now.buckets) == len(before.buckets)
    buckets = tuple(map(sub, now.buckets, before.buckets)) if same_width else ()
    return Delta(instance, requests, errors, buckets, age_seconds)


def are_warm(deltas: Sequence[Delta], seconds: float) -> Deltas:
    """Those of processes that were at least so old when the block began."""
    return tuple(delta for delta in deltas if delta.age_seconds >= seconds)
