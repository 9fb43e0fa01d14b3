"""What the end-to-end tests are told with: the real command line in a home of its own, and its real Prefect server.

A test reads given / when / then: a `Stage` is given, `stage.ci(...)` happens, a `Run` says how it went. Nothing here
is a stand-in, and nothing waits for a time to pass: it waits for a condition, with a deadline.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

TOWPATH = Path(sys.executable).with_name("towpath")
ROOT = Path(__file__).parents[2]
# No engine is found there, also on a machine that has one.
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
# What would change what the command line does, or what it may say of its user.
_UNWANTED = ("PREFECT_", "GIT_", "TOWPATH_", "CODECOV_")
_T = TypeVar("_T")


def until(condition: Callable[[], _T | None], *, seconds: float = 60.0, what: str = "the condition") -> _T:
    """What the condition gives, once it gives something, within a deadline."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} was not met within {seconds:g} s"
        time.sleep(0.02)
    return found


@dataclass(frozen=True)
class Said:
    """What a command ended with and said."""

    exit_code: int
    output: str
    errors: str


@dataclass(frozen=True)
class Run:
    """A finished `towpath ci`, by its exit code and its report."""

    said: Said
    report: Mapping[str, Any]
    junit: str

    @property
    def exit_code(self) -> int:
        return self.said.exit_code

    @property
    def id(self) -> str:
        return str(self.report["run"]).rpartition("/")[2]

    def check(self, check_id: str) -> Mapping[str, Any]:
        return next(check for check in self.report["checks"] if check["id"] == check_id)

    def verdicts(self) -> dict[str, str]:
        return verdicts_of(self.report)

    def ending_in(self, *verdicts: str) -> set[str]:
        return {name for name, verdict in self.verdicts().items() if verdict in verdicts}

    def anew(self) -> set[str]:
        """The checks whose tools really ran."""
        return {check["id"] for check in self.report["checks"] if is_run(check) and not check["cached"]}

    def from_cache(self) -> set[str]:
        return {check["id"] for check in self.report["checks"] if check["cached"]}


def is_run(check: Mapping[str, Any]) -> bool:
    return str(check["verdict"]) != "skipped"


def verdicts_of(report: Mapping[str, Any]) -> dict[str, str]:
    return {check["id"]: check["verdict"] for check in report["checks"]}


@dataclass(frozen=True)
class Started:
    """A `towpath ci` that goes on; `output` is what it says meanwhile."""

    process: "subprocess.Popen[bytes]"
    output: Path

    def run_id(self) -> str:
        """The run's id, as soon as the line with its address is there."""

        def look() -> str:
            words = [line.split() for line in self.output.read_text().splitlines()]
            return next((found[-1].rpartition("/")[2] for found in words if found[2:3] == ["run"]), "")

        return until(look, what="the line with the run's address")


@dataclass(frozen=True)
class Stage:
    """A home of Towpath, and a folder for what the tests themselves write."""

    folder: Path
    home: Path

    def _environment(self, extras: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_UNWANTED)}
        neutral = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        return kept | neutral | {"TOWPATH_HOME": str(self.home)} | dict(extras)

    def towpath(self, *words: str | Path, extras: Mapping[str, str] = NO_ENGINE) -> Said:
        done = subprocess.run(
            [TOWPATH, *words],
            env=self._environment(extras),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def ci(self, target: Path | str, *words: str, extras: Mapping[str, str] = NO_ENGINE) -> Run:
        """Run CI to its end; without an engine of its own the image checks are skipped."""
        report, junit = self.folder / "report.json", self.folder / "junit.xml"
        for path in (report, junit):
            path.unlink(missing_ok=True)
        wanted = ("--json", report, "--junit", junit, "--plain", "--allow-missing", "docker")
        said = self.towpath("ci", target, *wanted, *words, extras=extras)
        assert report.exists(), f"no report was written: {said.errors or said.output}"
        return Run(said, json.loads(report.read_text()), junit.read_text())

    def start_ci(self, target: Path, *words: str | Path) -> Started:
        return self.start("ci", target, "--plain", "--allow-missing", "docker", *words)

    def start(self, *words: str | Path, extras: Mapping[str, str] = NO_ENGINE) -> Started:
        """Begin a run in a process group of its own, as a shell does."""
        output = self.folder / f"output-{time.monotonic_ns()}"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [TOWPATH, *words],
                env=self._environment(extras),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        return Started(process, output)

    def api_url(self) -> str:
        """Where its server answers; it is started by the first run."""
        return str(json.loads((self.home / "server" / "server.json").read_text())["url"])

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """One call to its Prefect API: a POST with a body, a GET without."""
        method = "GET" if body is None else "POST"
        return httpx.request(method, f"{self.api_url()}{path}", json=body, trust_env=False, timeout=20)

    def answer(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self.ask(path, body).raise_for_status().json()

    def state_of(self, run_id: str) -> tuple[str, str]:
        """Type and name of a flow run's state on the server."""
        state = self.answer(f"/flow_runs/{run_id}")["state"]
        return state["type"], state["name"]

    def submit(self, parameters: Mapping[str, Any], *, deployment: str = "ci/ci") -> str:
        """The id of a flow run created as the UI creates one, for the worker to take up."""

        def attempt() -> httpx.Response | None:
            # The server answers 503 while its database is busy; Prefect's own client asks again too.
            answer = self.try_to_submit(parameters, name=deployment)
            return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

        return str(until(attempt, what="an answer").raise_for_status().json()["id"])

    def try_to_submit(self, parameters: Mapping[str, Any], *, name: str = "ci/ci") -> httpx.Response:
        deployment = self.answer(f"/deployments/name/{name}")["id"]
        state = {"type": "SCHEDULED", "message": "Run from the Prefect UI"}
        return self.ask(f"/deployments/{deployment}/create_flow_run", {"parameters": parameters, "state": state})

    def reports(self, run_id: str) -> list[Path]:
        return list((self.home / "reports").glob(f"*-{run_id[:8]}/report.json"))

    def is_server(self, process: psutil.Process) -> bool:
        return bool(process.pid == json.loads((self.home / "server" / "server.json").read_text())["pid"])

    def tools(self) -> list[psutil.Process]:
        """Whatever works in a snapshot of this home: tools, all that they started, and those who supervise them."""
        return [process for process in psutil.process_iter() if _is_in(process, self.home / "targets")]

    def processes(self) -> list[psutil.Process]:
        """Every process of this home: told by its folder or its environment, and all their children."""
        own = [process for process in psutil.process_iter() if _is_in(process, self.home) or _names(process, self.home)]
        return list({process.pid: process for process in [*own, *_children(own)]}.values())


def _is_in(process: psutil.Process, folder: Path) -> bool:
    with suppress(psutil.Error, OSError):
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder)
    return False


def _names(process: psutil.Process, home: Path) -> bool:
    with suppress(psutil.Error, OSError):
        seen = process.environ()
        return seen.get("TOWPATH_HOME") == str(home) or seen.get("PREFECT_HOME") == str(home / "prefect")
    return False


def _children(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in processes:
        with suppress(psutil.Error):
            found += process.children(recursive=True)
    return found


def is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def end(started: Started) -> None:
    """For the end of a test: whatever became of it, the run is over."""
    with suppress(ProcessLookupError):
        os.killpg(started.process.pid, signal.SIGKILL)
    started.process.wait()
