"""Many canaries of one world, judged, and how far from its promise a count may be by chance."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.core.canary_policy import JudgePolicy
from tasks.core.judge import CanaryVerdict, Judge, Judgement
from tests.simulation.world import Run, World

# A test is deterministic by its seed; this is how unlucky a seed may be before a right judge fails it.
CHANCE = 1e-6
RUNS_IN_FULL = 10_000
FIRST_SEED = 1_000_000


@dataclass(frozen=True)
class Trial:
    """How one canary went: when it failed and when it first could be promoted (seconds, None: never), and the end."""

    failed_at: float | None
    passed_at: float | None
    last: Judgement

    @property
    def verdict(self) -> CanaryVerdict:
        return self.last.verdict


def try_canary(world: World, seed: int) -> Trial:
    run = Run(world, seed)
    judge = Judge(JudgePolicy(), run.history())
    passed_at = last = None
    for snapshot in run.snapshots():
        last = judge.observe(snapshot)
        if last.verdict is CanaryVerdict.FAIL:
            return Trial(snapshot.at, passed_at, last)
        if last.verdict is CanaryVerdict.PASS and passed_at is None:
            passed_at = snapshot.at
    assert last is not None
    return Trial(None, passed_at, last)


def try_canaries(world: World, runs: int) -> Iterator[Trial]:
    return (try_canary(world, seed) for seed in range(FIRST_SEED, FIRST_SEED + runs))


def planned_runs(few: int) -> int:
    """As many as a suite has time for, or ten thousand with TOWPATH_SIMULATIONS=full."""
    return RUNS_IN_FULL if os.environ.get("TOWPATH_SIMULATIONS") == "full" else few


def most_by_chance(runs: int, probability: float, chance: float = CHANCE) -> int:
    """The count an event of at most this probability exceeds with no more than `chance`: exact, binomial."""
    total, log = 0.0, runs * math.log1p(-probability)
    for count in range(runs + 1):
        total += math.exp(log)
        if total >= 1 - chance:
            return count
        log += math.log((runs - count) / (count + 1)) + math.log(probability) - math.log1p(-probability)
    return runs


def quantile(times: list[float | None], part: float) -> float:
    """The time by which a part (0 to 1) of all was found, infinite where fewer were."""
    known = sorted(math.inf if time is None else time for time in times)
    return known[max(0, math.ceil(part * len(known)) - 1)]
