"""Many canaries in a row, through the same hands as the flow's and without its server: quick to go, and none leaks.

What is measured here are the machine, the change, its permit and promise, the platform and the router; only Prefect is
left out, since a whole flow costs seconds that have nothing to do with it.
"""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from tasks.adapters.artifacts import read_settings
from tasks.adapters.ledger import current_record, read_records, write_record
from tasks.adapters.platforms.local.families import marked_processes
from tasks.core.judgement import CanaryVerdict
from tasks.core.records import Ending, Kind
from tasks.core.release import Release
from tasks.core.rollout_words import Began, Judged, Phase
from tasks.delivery.canary_run import CanaryRun
from tasks.delivery.canarying import begin_canary
from tasks.delivery.change import Asked, Change, open_change
from tasks.delivery.recording import record_of
from tasks.delivery.rolling import place, shift, take_over
from tests.e2e.delivery_stage import Delivered, measured

pytest_plugins = ["tests.e2e.delivery_fixtures"]
pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

CYCLES = 50
VISITORS_PER_SECOND = 100.0
P95_SECONDS = 1.0
MOST_LOGS = 20
# Kept for good: records, measurements, the target's own data. Logs of instances that are gone are bounded, see below.
_ON_PURPOSE = {"releases", "canaries", "data", "logs", "metrics.jsonl"}


@dataclass
class Watcher:
    """A visitor who asks all the time, and by whom each answer was given and when it was asked for."""

    url: str
    answers: list[tuple[float, str, int]] = field(default_factory=list)

    async def come(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=10) as client:
            while True:
                began = time.monotonic()
                answer = await client.get("/api")
                self.answers.append((began, answer.text, answer.status_code))
                await asyncio.sleep(max(0.0, began + 1 / VISITORS_PER_SECOND - time.monotonic()))

    def last_of(self, label: str) -> float:
        return max((asked for asked, said, _ in self.answers if said == label), default=0.0)


@asynccontextmanager
async def watcher(url: str) -> AsyncIterator[Watcher]:
    found = Watcher(url)
    coming = asyncio.create_task(found.come())
    try:
        yield found
    finally:
        coming.cancel()


@dataclass
class Trial:
    """The environment in which canaries come and go."""

    delivered: Delivered
    stable: Release

    def asked(self, label: str) -> Asked:
        ground = self.delivered.ground
        release = self.stable.model_copy(update={"configuration": {"web": {"LABEL": label}}, "replicas": {"web": 1}})
        return Asked(
            kind=Kind.CANARY,
            ground=ground,
            release=release,
            delivery=read_settings(ground.state, release.artifact),
            who="Ann",
            run=f"run-{label}",
            folder=ground.state / "reports" / label,
            longest_seconds=600,
        )

    async def make_stable(self) -> str:
        """The release that stays; its address."""
        async with AsyncExitStack() as held:
            change = await open_change(held, self.asked("stays"))
            await place(change, {"web": 1})
            await shift(change, 100)
            await take_over(change)
            keep(change, Ending.RELEASED)
            return change.url


def keep(change: Change, ending: Ending) -> None:
    write_record(change.ground, record_of(change, ending, "a cycle", ""))
    change.is_settled = True


@dataclass(frozen=True)
class Leaks:
    """What there would be more of, the more canaries there have been."""

    processes: int
    ports: int
    descriptors: int
    files: frozenset[str]


@pytest.fixture
def trial(production: Delivered) -> Trial:
    found = production.inside("trial")
    record = current_record(production.ground)
    assert record is not None, "production has a release"
    return Trial(found, record.release)


def leaks(state: Path) -> Leaks:
    """Processes of this home, ports they listen on, open files of those that stay, and files that are kept for good."""
    living = [each.pid for each in marked_processes(state)]
    keepers = [psutil.Process(int(pid)) for pid in keeper_pids(state)]
    everything = [*map(psutil.Process, living), *keepers]
    ports = sum(each.status == psutil.CONN_LISTEN for process in everything for each in process.net_connections())
    descriptors = len(list(Path("/proc/self/fd").iterdir())) + sum(process.num_fds() for process in keepers)
    ground = state / "delivery" / "tiny" / "trial"
    files = {path.name for path in ground.rglob("*") if path.is_file() and not (_ON_PURPOSE & set(path.parts))}
    return Leaks(len(living), ports, descriptors, frozenset(files))


def keeper_pids(state: Path) -> list[int]:
    return [json.loads(path.read_text())["pid"] for path in (state / "keepers").glob("*.json")]


async def one_cycle(trial: Trial, visitor: Watcher, label: str) -> float:
    """Put, weight, a bad verdict, gone; seconds from the verdict to the last request the candidate was given."""
    async with AsyncExitStack() as held:
        change = await open_change(held, trial.asked(label))
        run: CanaryRun = begin_canary(change)
        await run.happen(Began())
        while not visitor.last_of(label):
            await asyncio.sleep(0.01)
        decided = time.monotonic()
        await run.happen(Judged(CanaryVerdict.FAIL, "a test says so"))
        assert run.rollout.phase is Phase.ROLLED_BACK
        keep(change, Ending.ROLLED_BACK)
    return max(0.0, visitor.last_of(label) - decided)


async def fifty(trial: Trial) -> tuple[list[float], Watcher, Leaks, Leaks]:
    state = trial.delivered.stage.home
    async with watcher(await trial.make_stable()) as visitor:
        await one_cycle(trial, visitor, "warm-up")
        await until_drained(trial)
        before = leaks(state)
        seconds = [await one_cycle(trial, visitor, f"cycle-{number}") for number in range(CYCLES)]
        await until_drained(trial)
        return seconds, visitor, before, leaks(state)


async def until_drained(trial: Trial) -> None:
    async with asyncio.timeout(20):
        while trial.delivered.strays():
            await asyncio.sleep(0.05)


def test_fifty(trial: Trial) -> None:
    """Fifty bad canaries in a row: without traffic within a second of the verdict, not one request lost, no leak."""
    began = time.monotonic()
    seconds, visitor, before, after = asyncio.run(fifty(trial))
    p95 = statistics.quantiles(seconds, n=20)[-1]
    failed = [answer for answer in visitor.answers if answer[2] != 200]
    measured(f"{CYCLES} cycles in {time.monotonic() - began:.1f} s; verdict to last request of the candidate: "
          f"median {statistics.median(seconds):.3f} s, p95 {p95:.3f} s, worst {max(seconds):.3f} s; "
          f"{len(visitor.answers)} requests, {len(failed)} failed; processes, ports, descriptors, files: "
          f"{before} -> {after}")  # fmt: skip

    assert p95 < P95_SECONDS
    assert failed == []
    assert len(read_records(trial.delivered.ground)) == CYCLES + 2
    assert trial.delivered.left_behind() == []
    assert (after.processes, after.ports) == (before.processes, before.ports)
    assert after.descriptors <= before.descriptors + 2  # A connection that is just being closed.
    assert after.files <= before.files
    assert len(list((trial.delivered.ground.folder / "logs").iterdir())) <= MOST_LOGS
