"""What the delivery tests are told with: a target that is delivered, its environments as they are on disk, and load.

Everything is real: the command line, the Prefect server, the supervisor, the router, the guard, the instances and the
visitors, who come from a process of their own. A candidate differs from what runs by its configuration alone, so that
one build is enough and a bad release is bad by a setting.
"""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tasks.adapters.approvals import Found, all_pending
from tasks.adapters.grounds import Ground
from tasks.adapters.intents import read_intent
from tasks.adapters.load import Tally, read_tally
from tasks.adapters.platforms.choosing import safekeeping_of
from tasks.adapters.platforms.local.families import marked_processes
from tasks.adapters.platforms.local.platform import LocalPlatform
from tasks.core.intent import Intent
from tasks.core.platform import EnvironmentStatus
from tasks.core.records import Record
from tasks.core.wanted import Wanted
from tests.e2e.repositories import committed, git
from tests.e2e.stage import NO_ENGINE, ROOT, TOWPATH, Said, Stage, Started, end, until

SERVER = Path(__file__).with_name("delivery_server.py")
TARGET = "tiny"
WHOLE_SECONDS = 30.0
WAY = """
name = "{name}"

[checks.fine]
command = ["true"]

[delivery.components.web]
keep = ["serve.py"]
command = ["{python}", "-S", "-E", "{{artifact}}/web/serve.py", "{{port}}", "{{data}}"]
ready_path = "/ready"
live_path = "/live"
start_seconds = 20
drain_seconds = 3
metrics = {{ requests = "web_requests_total", errors = "web_errors_total", seconds = "web_seconds" }}

[delivery.environments.staging]
replicas = {{ web = 1 }}
port = 18100

[delivery.environments.production]
replicas = {{ web = 2 }}
variables = {{ web = {{ LABEL = "first" }} }}
port = 18200

[delivery.environments.trial]
replicas = {{ web = 1 }}
port = 18300

[delivery.verification]
settle_seconds = 1

[delivery.approvals]
needed = 0

[delivery.canary]
steps = [50]
scrape_seconds = 1
window_seconds = 30
step_seconds = 1
max_window_seconds = 60

[delivery.canary.judge]
min_bake_seconds = 3
min_requests = 50
promote_error_absolute = 0.08
error_weight = 1
latency_weight = 0
warmup_error_seconds = 0
"""


def make_delivered(folder: Path, *, name: str = TARGET, more: str = "") -> Path:
    """A repository of one component, whose version tag is v1.0.0."""
    folder.mkdir(parents=True)
    shutil.copyfile(SERVER, folder / "serve.py")
    (folder / "towpath.toml").write_text(WAY.format(name=name, python=sys.executable) + more)
    committed(folder)
    git(folder, "tag", "v1.0.0")
    return folder


def setting(key: str, value: str) -> tuple[str, str]:
    """One setting under [delivery], given on the command line."""
    return "--set", f"delivery.{key}={value}"


def configured(**variables: str) -> tuple[str, ...]:
    """What makes a candidate another release than the one that runs."""
    where = "environments.production.variables.web"
    return tuple(word for name, value in variables.items() for word in setting(f"{where}.{name}", f'"{value}"'))


def asking(needed: int = 1) -> tuple[str, str]:
    return setting("approvals.needed", str(needed))


LONG_WATCH = (
    *setting("canary.judge.min_bake_seconds", "300"),
    *setting("canary.window_seconds", "600"),
    *setting("canary.max_window_seconds", "600"),
)


@dataclass(frozen=True)
class Delivered:
    """One target on a stage, and one of its environments."""

    stage: Stage
    repository: Path
    target: str = TARGET
    environment: str = "production"
    started: list[Started] = field(default_factory=list)

    @property
    def ground(self) -> Ground:
        return Ground(self.stage.home, self.target, self.environment)

    def inside(self, environment: str) -> "Delivered":
        return Delivered(self.stage, self.repository, self.target, environment, self.started)

    def run(self, command: str, *words: str | Path) -> Said:
        """A flow over the repository, to its end."""
        return self.stage.towpath(command, self.repository, "--plain", *words)

    def canary(self, *words: str) -> Said:
        return self.run("canary", "--ref", "v1.0.0", "--by", "Ann", *words)

    def rollback(self, *words: str) -> Said:
        return self.stage.towpath("rollback", self.environment, *words, "--target", self.target, "--plain")

    def start(self, command: str, *words: str | Path) -> Started:
        """A flow over the repository that goes on, in a process group of its own, as a shell starts it."""
        output = self.stage.folder / f"output-{time.monotonic_ns()}"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [TOWPATH, command, self.repository, "--plain", *words],
                env=self.stage._environment(NO_ENGINE),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self.started.append(Started(process, output))
        return self.started[-1]

    def start_canary(self, *words: str) -> Started:
        return self.start("canary", "--ref", "v1.0.0", "--by", "Ann", *words)

    def status(self) -> EnvironmentStatus:
        return asyncio.run(LocalPlatform(self.stage.home, self.target).status(self.environment))

    def wanted(self) -> Wanted:
        wanted = LocalPlatform(self.stage.home, self.target).folder(self.environment).read_wanted()
        assert wanted is not None, f"{self.environment} was never prepared"
        return wanted

    def records(self) -> tuple[Record, ...]:
        return asyncio.run(safekeeping_of(self.ground).ledger.records())

    def intent(self) -> Intent | None:
        return read_intent(self.ground)

    def pending(self) -> Found | None:
        return next((each for each in all_pending(self.stage.home) if each.ground == self.ground), None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.wanted().port}"

    def approve(self, run: str, *words: str) -> Said:
        return self.stage.towpath("approve", run, *words)

    def counts(self, label: str) -> list[dict[str, int]]:
        """What every ended instance of this label counted."""
        found = (self.ground.data / "counts").glob(f"{label}-*.json")
        return [json.loads(path.read_text()) for path in found]

    def left_behind(self) -> list[str]:
        """What a change that is over must not leave."""
        folder = self.ground.folder
        names = ("lock.json", "intent.json", "heartbeat.json")
        return [
            *(name for name in names if (folder / name).exists()),
            *(path.name for path in (folder / "approvals").glob("*")),
        ]

    def strays(self) -> set[str]:
        """Living processes of this environment that are neither its router nor an instance that is wanted."""
        mine = f"{self.target}/{self.environment}/"
        groups = self.wanted().groups()
        meant = {"router", *(name for group in groups for name in group.instances())}
        marks = {each.mark for each in marked_processes(self.stage.home)}
        return {name for mark in marks if mark.startswith(mine) and (name := mark.rpartition("/")[2]) not in meant}

    def when_over(self, *, seconds: float = WHOLE_SECONDS) -> None:
        """Until nothing of a change is left: no candidate, no lock, no promise, no process too many."""

        def is_over() -> bool:
            return self.status().candidate is None and not self.left_behind() and not self.strays()

        until(is_over, seconds=seconds, what=f"the end of all that {self.left_behind()} {self.strays()} tell of")

    def when_placing(self, started: Started | None = None) -> None:
        self._until(started, lambda: self.wanted().candidate is not None, "a candidate")

    def when_watching(self, started: Started | None = None) -> None:
        self._until(started, lambda: self.wanted().candidate_percent > 0, "traffic for the candidate")

    def when_asking(self, started: Started | None = None) -> str:
        """The run that waits for people, as soon as it is paused."""
        self._until(started, lambda: self.pending() is not None, "a question")
        found = self.pending()
        assert found is not None, "the question was withdrawn at once"
        run = found.pending.request.run
        self._until(started, lambda: self.stage.state_of(run)[0] == "PAUSED", "a paused run")
        return run

    def when_scaling(self, started: Started | None = None) -> None:
        def is_scaling() -> bool:
            candidate = self.wanted().candidate
            return candidate is not None and candidate.replicas["web"] == 2

        self._until(started, is_scaling, "a candidate of full size")

    def _until(self, started: Started | None, condition: Callable[[], bool], what: str) -> None:
        def look() -> bool:
            if started is not None and started.process.poll() is not None:
                assert condition(), f"it ended before {what}: {started.output.read_text()[-2000:]}"
            return condition()

        until(look, seconds=90, what=what)

    @contextmanager
    def load(self, *, per_second: float) -> Iterator["Visitors"]:
        """Visitors from a process of their own, until the context ends; then the tally is whole."""
        tally = self.stage.folder / f"tally-{time.monotonic_ns()}.json"
        argv = [sys.executable, "-m", "deployments.load", f"{self.url}/api", str(per_second), "600", str(tally)]
        process = subprocess.Popen(argv, cwd=ROOT)
        try:
            visitors = Visitors(tally)
            until(lambda: visitors.tally().requests > 0, what="the first visitors")
            yield visitors
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)

    def submit(self, flow: str, **parameters: object) -> str:
        """The id of a flow run created as the UI creates one, for the worker to take up."""
        deployment = self.stage.answer(f"/deployments/name/{flow}/{flow}")["id"]
        body = {"parameters": {"target": str(self.repository), **parameters}, "state": {"type": "SCHEDULED"}}

        def attempt() -> httpx.Response | None:
            # The server answers 503 while its database is busy; Prefect's own client asks again too.
            answer = self.stage.ask(f"/deployments/{deployment}/create_flow_run", body)
            return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

        return str(until(attempt, what="an answer").raise_for_status().json()["id"])

    def end_all(self) -> None:
        for started in self.started:
            end(started)
        self.started.clear()


@dataclass(frozen=True)
class Visitors:
    """What the visitors were told so far."""

    file: Path

    def tally(self) -> Tally:
        return read_tally(self.file)


def measured(text: str) -> None:
    """A figure for whoever runs the tests with -s."""
    sys.stdout.write(f"\n{text}\n")


def words_of(started: Started) -> str:
    return started.output.read_text()


def when_ended(started: Started, *, seconds: float = 90.0) -> int:
    """The exit code of a flow that was started."""
    return started.process.wait(timeout=seconds)
