"""A world with a canary in it: instances that count requests, errors and latency, and scrapes that may fail.

The judge's promises are about probabilities, so they are tested where the truth is known. Everything is drawn by one
seeded generator, each kind of count by inverting its distribution's table, so that a run costs milliseconds.

The world of the published figures: nine stable instances and one canary, 10 % share, a scrape each 10 s, 5 minutes of
canary after 5 minutes of history, lognormal latency in Prometheus's default buckets.
"""

import math
import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from tasks.core.counters import Counters, Snapshot

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TAIL = 1e-12
MEDIAN_SECONDS = 0.06
SPREAD = 0.6
RETRY_SIZES = (1, 2, 3, 4)
RETRY_PARTS = (0.4, 0.2, 0.2, 0.2)
RETRIES_PER_CALL = 2.2
BURST_SECONDS = 20.0
ESTABLISHED_SECONDS = 3600.0
READY_SECONDS = 30.0


class Company(StrEnum):
    """How errors come: one by one, or several for one cause."""

    INDEPENDENT = "independent"
    PHI_3 = "beta-binomial, phi 3"
    PHI_9 = "beta-binomial, phi 9"
    RETRIES = "retries"
    BURSTS = "bursts per instance"


@dataclass(frozen=True)
class World:
    """What is true of a canary. Rates are shares of requests (0 to 1), `canary_slower` 0.5 is 50 % slower.

    `share` is what is set for the canary and `true_share` what the router does; `unread` are the spans of seconds in
    which neither arm can be read; `silent_from` is when traffic stops reaching the canary; `restart_at` when its
    instance starts anew; `burst_errors` is the part that fails within a burst;
    `instance_variation` is how much instances differ for good in their rate of errors (standard deviation over mean).
    """

    requests_per_second: float = 50.0
    stable_errors: float = 0.005
    canary_errors: float = 0.005
    canary_slower: float = 0.0
    company: Company = Company.INDEPENDENT
    burst_errors: float = 0.1
    instance_variation: float = 0.0
    share: float = 0.10
    true_share: float | None = None
    stable_instances: int = 9
    scrape_seconds: float = 10.0
    seconds: float = 300.0
    history_seconds: float = 300.0
    unread: tuple[tuple[float, float], ...] = ()
    silent_from: float = math.inf
    stable_silent_from: float = math.inf
    restart_at: float = math.inf


@dataclass
class _Instance:
    """The counters of one process, moved on scrape by scrape."""

    started: float
    requests: int = 0
    errors: int = 0
    restarts: int = 0
    error_factor: float = 1.0
    burst_until: float = -math.inf
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def counters(self) -> Counters:
        return Counters(self.requests, self.errors, self.restarts, self.started, tuple(self.buckets))

    def restart(self, at: float) -> None:
        self.started, self.requests, self.errors = at, 0, 0
        self.restarts += 1
        self.buckets = [0] * (len(BOUNDS) + 1)


class Run:
    """One canary in a world: its history, and its snapshots as they come."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._random = random.Random(seed)
        self._stable = {f"stable-{number}": _Instance(-ESTABLISHED_SECONDS) for number in range(world.stable_instances)}
        self._canary = {"canary-0": _Instance(-READY_SECONDS)}
        if world.instance_variation:
            spread = math.sqrt(math.log(1 + world.instance_variation**2))
            for instance in (*self._stable.values(), *self._canary.values()):
                instance.error_factor = math.exp(self._random.gauss(-(spread**2) / 2, spread))

    def history(self) -> list[Snapshot]:
        """Stable alone, with all of the traffic, until the canary begins."""
        world, snapshots = self._world, []
        for step in range(-round(world.history_seconds / world.scrape_seconds), 0):
            at = step * world.scrape_seconds
            self._serve(self._stable, at, world.requests_per_second, world.stable_errors, 0.0)
            snapshots.append(Snapshot(at, 0.0, {}, _read(self._stable), BOUNDS))
        return snapshots

    def snapshots(self) -> Iterator[Snapshot]:
        """From the moment the share is set to the end of the watch, one per scrape."""
        world = self._world
        yield self._snapshot(0.0)
        for step in range(1, round(world.seconds / world.scrape_seconds) + 1):
            at = step * world.scrape_seconds
            self._move(at)
            yield self._snapshot(at)

    def _move(self, at: float) -> None:
        world = self._world
        share = world.share if world.true_share is None else world.true_share
        begin = at - world.scrape_seconds
        if begin < world.restart_at <= at:
            for instance in self._canary.values():
                instance.restart(world.restart_at)
        share = 0.0 if at > world.silent_from else share
        rate = 0.0 if at > world.stable_silent_from else world.requests_per_second
        self._serve(self._stable, at, rate * (1 - share), world.stable_errors, 0.0)
        self._serve(self._canary, at, rate * share, world.canary_errors, world.canary_slower)

    def _snapshot(self, at: float) -> Snapshot:
        if any(begin < at <= end for begin, end in self._world.unread):
            return Snapshot(at, self._world.share, None, None, BOUNDS)
        return Snapshot(at, self._world.share, _read(self._canary), _read(self._stable), BOUNDS)

    def _serve(self, instances: Mapping[str, _Instance], at: float, rate: float, errors: float, slower: float) -> None:
        mean = rate * self._world.scrape_seconds / len(instances)
        for instance in instances.values():
            requests = draw_poisson(self._random, mean)
            instance.requests += requests
            instance.errors += self._draw_errors(instance, at, requests, errors * instance.error_factor, mean)
            self._draw_latency(instance, requests, slower)

    def _draw_errors(self, instance: _Instance, at: float, requests: int, rate: float, mean: float) -> int:
        company = self._world.company
        if company is Company.PHI_3 or company is Company.PHI_9:
            phi = 3.0 if company is Company.PHI_3 else 9.0
            return draw_beta_binomial(self._random, requests, rate, min(0.9, (phi - 1) / max(1.0, mean - 1)))
        if company is Company.RETRIES:
            return self._draw_retried(requests, rate)
        if company is Company.BURSTS:
            return self._draw_bursts(instance, at, requests, rate)
        return draw_binomial(self._random, requests, rate)

    def _draw_retried(self, requests: int, rate: float) -> int:
        """Each failing call is tried up to three times more, and every try is a request that fails."""
        causes = draw_binomial(self._random, requests, rate / RETRIES_PER_CALL)
        return min(requests, sum(self._random.choices(RETRY_SIZES, RETRY_PARTS, k=causes))) if causes else 0

    def _draw_bursts(self, instance: _Instance, at: float, requests: int, rate: float) -> int:
        """Two thirds of the errors come in spells of 20 s in which a good part of one instance's requests fail."""
        errors = self._world.burst_errors
        part = 2 / 3 * rate / errors
        begins = part * self._world.scrape_seconds / BURST_SECONDS
        if at > instance.burst_until and self._random.random() < begins:
            instance.burst_until = at + BURST_SECONDS - self._world.scrape_seconds
        within = at <= instance.burst_until
        return draw_binomial(self._random, requests, errors if within else rate / 3)

    def _draw_latency(self, instance: _Instance, requests: int, slower: float) -> None:
        """Requests over each bound, given those over the one before."""
        buckets, over = instance.buckets, requests
        buckets[-1] += requests
        for index, remaining in enumerate(conditional_shares_over(slower)):
            if over and remaining < 1:
                over = draw_binomial(self._random, over, remaining) if remaining > TAIL else 0
            buckets[index] += requests - over


def _read(instances: Mapping[str, _Instance]) -> dict[str, Counters]:
    return {name: instance.counters() for name, instance in instances.items()}


@lru_cache(maxsize=64)
def conditional_shares_over(slower: float) -> tuple[float, ...]:
    """The probability to exceed each bound, given that the one before was exceeded."""
    over = [_over(bound, slower) for bound in BOUNDS]
    before = [1.0, *over[:-1]]
    return tuple(1.0 if first - then < TAIL else then / first for first, then in zip(before, over, strict=True))


def _over(seconds: float, slower: float) -> float:
    return 0.5 * math.erfc(math.log(seconds / (MEDIAN_SECONDS * (1 + slower))) / (SPREAD * math.sqrt(2)))


def draw_poisson(source: random.Random, mean: float) -> int:
    return bisect_right(poisson_table(mean), source.random()) if mean > 0 else 0


def draw_binomial(source: random.Random, trials: int, probability: float) -> int:
    if trials <= 0 or probability <= 0:
        return 0
    return bisect_right(binomial_table(trials, probability), source.random())


def draw_beta_binomial(source: random.Random, trials: int, probability: float, correlation: float) -> int:
    """Trials that succeed with a probability of its own in each block, `correlation` between any two of them."""
    if trials <= 0 or probability <= 0:
        return 0
    return bisect_right(beta_binomial_table(trials, probability, round(correlation, 6)), source.random())


@lru_cache(maxsize=4096)
def poisson_table(mean: float) -> list[float]:
    """Cumulative probabilities up to where nothing is left."""
    most = int(mean + 12 * math.sqrt(mean) + 20)
    return _cumulated(count * math.log(mean) - mean - math.lgamma(count + 1) for count in range(most))


@lru_cache(maxsize=65536)
def binomial_table(trials: int, probability: float) -> list[float]:
    if probability >= 1:
        return [0.0] * trials
    success, failure = math.log(probability), math.log1p(-probability)
    return _cumulated(
        _log_choose(trials, count) + count * success + (trials - count) * failure for count in range(trials + 1)
    )


@lru_cache(maxsize=65536)
def beta_binomial_table(trials: int, probability: float, correlation: float) -> list[float]:
    first = probability * (1 - correlation) / correlation
    second = (1 - probability) * (1 - correlation) / correlation
    base = _log_beta(first, second)
    return _cumulated(
        _log_choose(trials, count) + _log_beta(count + first, trials - count + second) - base
        for count in range(trials + 1)
    )


def _cumulated(logs: Iterator[float]) -> list[float]:
    table, total = [], 0.0
    for log in logs:
        total += math.exp(log)
        table.append(total)
        if total > 1 - TAIL:
            break
    table[-1] = 1.0
    return table


def _log_choose(trials: int, count: int) -> float:
    return math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)


def _log_beta(first: float, second: float) -> float:
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)
