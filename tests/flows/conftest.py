"""One Prefect server for all tests of flows, and a small target of own checks, which need no network."""

import asyncio
import gc
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State
from prefect.testing.utilities import prefect_test_harness

from flows.ci import ci
from tasks.core.results import CheckResult, Report
from tasks.watching import Event, RunEnded, RunStarted, watcher
from tests.adapters.real_git import git

_ON_THE_WAY = ("", "Scheduled", "Pending", "Running")


_server = ExitStack()


@pytest.fixture(scope="session")
def _prefect() -> None:
    _server.enter_context(prefect_test_harness(server_startup_timeout=60))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """The server ends with the last test of a flow, not with the last of all, whose warnings would be for others."""
    yield
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _server.close()
        _collect_sockets()


def pytest_sessionfinish() -> None:
    """The event loop of the session has ended only now."""
    _server.close()
    _collect_sockets()


def _collect_sockets() -> None:
    """Prefect leaves its clients' sockets to the collector, where any other warning would be an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@dataclass
class Ran:
    """A finished run: its state, its report when it came that far, and what the watcher was told."""

    state: State[Any]
    events: list[Event] = field(default_factory=list)

    @property
    def report(self) -> Report:
        return next(event.report for event in self.events if isinstance(event, RunEnded))

    @property
    def run_id(self) -> UUID:
        return UUID(next(event.run_id for event in self.events if isinstance(event, RunStarted)))

    def check(self, check_id: str) -> CheckResult:
        return next(check for check in self.report.checks if check.id == check_id)

    async def task_states(self, count: int) -> dict[str, str]:
        """The last state of so many checks by name, once all are final: the server hears of them a little later."""
        deadline = time.monotonic() + 20
        while True:
            states = await self._task_states()
            final = {name: state for name, state in states.items() if "/" in name and state not in _ON_THE_WAY}
            if len(final) >= count:
                return final
            assert time.monotonic() < deadline, f"only {states} were heard of"
            await asyncio.sleep(0.05)

    async def _task_states(self) -> dict[str, str]:
        async with get_client() as client:
            wanted = FlowRunFilter(id=FlowRunFilterId(any_=[self.run_id]))
            return {run.name: run.state_name or "" for run in await client.read_task_runs(flow_run_filter=wanted)}


@dataclass(frozen=True)
class Target:
    """A repository of own checks."""

    folder: Path

    def write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)

    def configure(self, checks: Mapping[str, list[str]], *, more: str = "") -> None:
        tables = [f"[checks.{name}]\ncommand = {json.dumps(command)}\n" for name, command in checks.items()]
        self.write({"towpath.toml": "\n".join([*tables, more])})

    async def run(self, flow: Callable[..., Any] = ci, **arguments: Any) -> Ran:
        events: list[Event] = []
        token = watcher.set(events.append)
        try:
            target = arguments.pop("target", str(self.folder))
            state = await cast("Any", flow(target, return_state=True, **arguments))
        finally:
            watcher.reset(token)
        return Ran(state, events)


@pytest.fixture
def target(tmp_path: Path, _prefect: None, monkeypatch: pytest.MonkeyPatch) -> Target:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("TOWPATH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine")
    monkeypatch.delenv("CODECOV_TOKEN", raising=False)
    folder = tmp_path / "target"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    # What no other test's target holds, so that no result of another is remembered here.
    (folder / "unique.txt").write_text(str(tmp_path))
    return Target(folder)
