"""What came of the pushes, by the word of the server, the cluster and the machine."""

import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.pool_pushes import Sent
from tests.lab.towpath_on_cluster import OnCluster

_FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass(frozen=True)
class Moment:
    """A moment, and how long this machine's processors had been busy, and had been there, until then."""

    at: float
    busy_seconds: float
    all_seconds: float


def moment_of(at: float) -> Moment:
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return Moment(at, (sum(ticks) - ticks[3] - ticks[4]) / 100, sum(ticks) / 100)


@dataclass(frozen=True)
class Pushed:
    """The pushes, when they began, and which worker was killed."""

    sent: Sent
    began: float
    before: Moment
    killed: str


@dataclass(frozen=True)
class Times:
    """Seconds of one run: from its creation to its first step, and from there to its end."""

    waited: float
    started: float
    worked: float


@dataclass(frozen=True)
class Figures:
    """What came of it; `lines` is for people."""

    pushes: int
    runs: int
    doubled: int
    lost: int
    ends: Mapping[str, int]
    ended_twice: int
    begun_twice: int
    jobs_twice: int
    aside: int
    workers: Mapping[str, int]
    answers: Sequence[float]
    times: Sequence[Times]
    seconds: float
    busy: float
    cpu_seconds_a_run: float

    @property
    def is_whole(self) -> bool:
        wrong = self.doubled + self.lost + self.ended_twice + self.begun_twice + self.jobs_twice
        return wrong == 0 and self.runs == self.pushes and dict(self.ends) == {"COMPLETED": self.pushes}

    @property
    def lines(self) -> list[str]:
        workers = ", ".join(f"{number} by {name}" for name, number in sorted(self.workers.items()))
        return [
            f"pushes          {self.pushes}, each answered 202 after at most {max(self.answers) * 1000:.0f} ms",
            f"runs of ci      {self.runs}; doubled {self.doubled}, lost {self.lost}; "
            + ", ".join(f"{number} {name.lower()}" for name, number in self.ends.items()),
            f"twice           ended {self.ended_twice}, begun {self.begun_twice}, as a Job {self.jobs_twice}",
            f"runs of others  {self.aside} of security, begun once each and left to lie",
            f"Jobs            {workers}",
            f"start of a pod  {_spread([each.started for each in self.times])}",
            f"work of a run   {_spread([each.worked for each in self.times])}",
            f"all ended       {self.seconds:.0f} s after the first push: one each {self.seconds / self.runs:.1f} s",
            f"this machine    {self.busy:.0%} busy; {self.cpu_seconds_a_run:.1f} processor seconds for a run",
        ]


def _spread(seconds: Sequence[float]) -> str:
    cuts = statistics.quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 19
    return f"median {cuts[9]:.1f} s, p95 {cuts[18]:.1f} s, longest {max(seconds):.1f} s"


def run_times(api: httpx.Client, key: str) -> str:
    """Of the run with this key, in words."""
    asked = {"flow_runs": {"idempotency_key": {"any_": [key]}}}
    (run,) = api.post("/flow_runs/filter", json=asked).raise_for_status().json()
    times = _times(_states(api, run["id"]))
    return f"pod {times.started:.1f} s, work {times.worked:.1f} s, {run['state']['message']}"


def read_figures(
    made: OnCluster, api: httpx.Client, pushed: Pushed, runs: list[dict[str, Any]], aside: list[dict[str, Any]]
) -> Figures:
    """Read while all of it is still there."""
    now, seconds = moment_of(time.time()), time.monotonic() - pushed.began
    keys = Counter(str(run["idempotency_key"]) for run in runs)
    own = [run for run in runs if run["idempotency_key"] in pushed.sent.keys]
    states = {str(run["id"]): _states(api, run["id"]) for run in own}
    jobs = [job["metadata"]["labels"] for job in made.listed("jobs", "-l", "prefect.io/flow-run-id")]
    jobs = [labels for labels in jobs if labels["prefect.io/flow-run-id"] in states]
    twice = Counter(labels["prefect.io/flow-run-id"] for labels in jobs)
    busy = now.busy_seconds - pushed.before.busy_seconds
    return Figures(
        pushes=len(pushed.sent.keys),
        runs=len(own),
        doubled=sum(keys[key] - 1 for key in pushed.sent.keys if keys[key]),
        lost=sum(not keys[key] for key in pushed.sent.keys),
        ends=Counter(str(run["state_type"]) for run in own),
        ended_twice=sum(sum(each["type"] in _FINAL for each in told) != 1 for told in states.values()),
        begun_twice=sum(run["run_count"] != 1 for run in own),
        jobs_twice=sum(number != 1 for number in twice.values()) + len(states.keys() - twice.keys()),
        aside=len({run["idempotency_key"] for run in aside}) - 2,
        workers=Counter(_marked(labels["prefect.io/worker-name"], pushed.killed) for labels in jobs),
        answers=pushed.sent.seconds,
        times=[_times(told) for told in states.values()],
        seconds=seconds,
        busy=busy / (now.all_seconds - pushed.before.all_seconds),
        cpu_seconds_a_run=busy / len(own),
    )


def _marked(worker: str, killed: str) -> str:
    return f"{worker} (killed)" if worker == killed else worker


def _states(api: httpx.Client, run: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/flow_run_states/", params={"flow_run_id": run}).raise_for_status().json()
    return sorted(found, key=lambda each: str(each["timestamp"]))


def _times(states: list[dict[str, Any]]) -> Times:
    created, taken, began, over = (
        _first(states, "SCHEDULED"),
        _first(states, "PENDING"),
        _first(states, "RUNNING"),
        datetime.fromisoformat(states[-1]["timestamp"]).timestamp(),
    )
    return Times(taken - created, began - taken, over - began)


def _first(states: list[dict[str, Any]], kind: str) -> float:
    return next(datetime.fromisoformat(each["timestamp"]).timestamp() for each in states if each["type"] == kind)
