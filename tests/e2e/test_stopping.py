"""Runs that are stopped, killed or met by another: nothing survives them, nothing false is remembered of them."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.e2e.faults import FAULTS
from tests.e2e.repositories import make_target
from tests.e2e.stage import Stage, Started, end, is_alive, until

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

GONE_SECONDS = 2.0
# A sleep of its own, one that a shell waits for, and one in a session of its own, which a group's kill would miss.
SLEEPS = {"600", "601", "602"}


@dataclass(frozen=True)
class Held:
    """A target whose checks hold on for as long as a file outside it exists."""

    repository: Path
    hold: Path

    def let_go(self) -> None:
        self.hold.unlink()


@pytest.fixture
def held(tmp_path: Path) -> Held:
    hold = tmp_path / "hold"
    hold.touch()
    family = f"[ -e {hold} ] || exit 0; sleep 601 & setsid sleep 602 & wait"
    checks = {
        "quick": ["true"],
        "slow": ["sh", "-c", f"[ -e {hold} ] || exit 0; exec sleep 600"],
        "family": ["sh", "-c", family],
    }
    return Held(make_target(tmp_path / "held", checks), hold)


@pytest.fixture
def begin(stage: Stage) -> Iterator[Callable[[Path], Started]]:
    """Starts runs, and makes sure that they are over when the test is."""
    begun: list[Started] = []

    def begin(target: Path) -> Started:
        begun.append(stage.start_ci(target))
        return begun[-1]

    yield begin
    for started in begun:
        end(started)


def when_all_sleep(stage: Stage) -> list[psutil.Process]:
    """Every process that works in a snapshot, once the slow ones do what they do for long."""

    def look() -> list[psutil.Process] | None:
        tools = stage.tools()
        return tools if _sleeps(tools) == SLEEPS else None

    return until(look, what="three sleeping tools")


def _sleeps(processes: list[psutil.Process]) -> set[str]:
    found = set()
    for process in processes:
        with suppress(psutil.Error):
            words = process.cmdline()
            found |= {words[1]} if words[:1] == ["sleep"] else set()
    return found


def then_gone(processes: list[psutil.Process], *, since: float) -> None:
    until(lambda: not any(map(is_alive, processes)), seconds=GONE_SECONDS, what="the end of every process")
    assert time.monotonic() - since < GONE_SECONDS


def to_the_group(started: Started) -> None:
    """Ctrl-C, as a terminal does it."""
    os.killpg(started.process.pid, signal.SIGINT)


def to_the_process(started: Started) -> None:
    started.process.terminate()


class TestAskedToStop:
    @pytest.mark.parametrize("stop", [to_the_group, to_the_process], ids=["ctrl-c", "sigterm"])
    def test_stopped(
        self,
        stage: Stage,
        held: Held,
        begin: Callable[[Path], Started],
        stop: Callable[[Started], None],
    ) -> None:
        """Within 2 s everything is gone; the exit code is 130, one line says so, and the run is Cancelled."""
        started = begin(held.repository)
        tools = when_all_sleep(stage)
        command = psutil.Process(started.process.pid)
        children = [child for child in command.children(recursive=True) if not stage.is_server(child)]
        everything = [*tools, *children, command]
        since = time.monotonic()
        stop(started)
        exit_code = started.process.wait(timeout=GONE_SECONDS)

        then_gone(everything, since=since)
        assert stage.tools() == []
        assert exit_code == 130
        assert started.output.read_text().splitlines()[-1] == "towpath ci: stopped; the run is Cancelled"
        assert stage.state_of(started.run_id()) == ("CANCELLED", "Cancelled")

    def test_next_run(self, stage: Stage, held: Held, begin: Callable[[Path], Started]) -> None:
        """What had passed before the stop is believed, what was stopped runs again."""
        started = begin(held.repository)
        when_all_sleep(stage)
        until(lambda: "own/quick" in started.output.read_text(), what="the end of the quick check")
        to_the_process(started)
        started.process.wait(timeout=GONE_SECONDS)
        held.let_go()
        following = stage.ci(held.repository)

        assert following.exit_code == 0
        assert following.from_cache() == {"own/quick"}
        assert following.anew() == {"own/slow", "own/family"}


class TestKilled:
    def test_flow(self, stage: Stage, held: Held, begin: Callable[[Path], Started]) -> None:
        """After kill -9 no tool survives 2 s; the next run finds the cache and says that the dead run has Crashed."""
        started = begin(held.repository)
        until(lambda: "own/quick" in started.output.read_text(), what="the end of the quick check")
        tools, run_id = when_all_sleep(stage), started.run_id()
        since = time.monotonic()
        started.process.kill()
        started.process.wait()

        then_gone(tools, since=since)
        assert stage.tools() == []
        assert stage.state_of(run_id) == ("RUNNING", "Running")
        assert "1 died without a word" in stage.towpath("status").output
        held.let_go()
        following = stage.ci(held.repository)
        assert following.exit_code == 0
        assert following.from_cache() == {"own/quick"}
        assert following.anew() == {"own/slow", "own/family"}
        assert stage.state_of(run_id) == ("CRASHED", "Crashed")
        assert "died" not in stage.towpath("status").output

    def test_worker(self, stage: Stage, held: Held) -> None:
        """After kill -9 of the worker neither its flow runs nor their tools survive 2 s; `towpath up` mends it."""
        assert stage.towpath("up").exit_code == 0
        supervisor = psutil.Process(json.loads((stage.home / "server" / "worker.json").read_text())["pid"])
        (worker,) = supervisor.children()
        run_id = stage.submit({"target": str(held.repository)})
        everything = [*when_all_sleep(stage), *supervisor.children(recursive=True), supervisor]
        since = time.monotonic()
        worker.kill()

        then_gone(everything, since=since)
        assert stage.tools() == []
        assert "worker      does not run" in stage.towpath("status").output
        held.let_go()
        assert stage.ci(held.repository).exit_code == 0
        assert stage.state_of(run_id) == ("CRASHED", "Crashed")
        assert stage.towpath("up").exit_code == 0
        assert "worker      does not run" not in stage.towpath("status").output


class TestNeverRemembered:
    def test_error(self, stage: Stage, tmp_path: Path) -> None:
        """A check that was killed, or whose program is missing, is an error each time it is asked for."""
        checks = {"killed": ["sh", "-c", "kill -9 $$"], "absent": ["towpath-has-no-such-program"], "fine": ["true"]}
        target = make_target(tmp_path / "broken", checks)
        runs = [stage.ci(target), stage.ci(target)]

        for run in runs:
            assert run.exit_code == 3
            assert run.ending_in("error") == {"own/killed", "own/absent"}
            assert run.anew() >= {"own/killed", "own/absent"}
            assert "signal 9" in run.check("own/killed")["reason"]
        assert runs[1].from_cache() == {"own/fine"}

    def test_too_slow(self, stage: Stage, tmp_path: Path) -> None:
        """A check that took too long is an error each time."""
        target = make_target(tmp_path / "slow", {"slow": ["sleep", "603"]})
        words = ("--set", "checks.slow.timeout_seconds=0.3")
        runs = [stage.ci(target, *words), stage.ci(target, *words)]

        for run in runs:
            assert run.exit_code == 3
            assert run.anew() == {"own/slow"}
            assert "0.3 s" in run.check("own/slow")["reason"]

    def test_flaky(self, stage: Stage, shop: Path, tmp_path: Path) -> None:
        """A test that fails and then passes is reported as failed and flaky, and is judged anew by the next run."""
        mark = tmp_path / "called-before"
        name = "backend/tests/unit/test_flaky.py"
        (shop / name).write_text(_FLAKY.format(mark=str(mark)))

        for _ in range(2):
            mark.unlink(missing_ok=True)
            run = stage.ci(shop, *ONLY_FLAKY)
            check = run.check("backend/pytest")
            assert run.exit_code == 1
            assert (check["verdict"], check["flaky"], check["cached"]) == ("failed", True, False)
            assert check["reason"].startswith("flaky, passed when run again: ")
            assert f"{name.removeprefix('backend/')}:10" in check["reason"]


_FLAKY = '''"""A test that passes when it is called again."""

from pathlib import Path


def test_flaky() -> None:
    mark = Path("{mark}")
    is_first_call = not mark.exists()
    mark.touch()
    assert not is_first_call
'''


def without(*names: str) -> tuple[str, ...]:
    """Words that switch checks off."""
    settings = [f'checks.{name}={{enabled=false, reason="not asked here"}}' for name in names]
    return tuple(word for setting in settings for word in ("--set", setting))


WITHOUT_FRONTEND = without("eslint", "typescript", "test", "build")
ONLY_FLAKY = (
    *WITHOUT_FRONTEND,
    *without("black", "coverage", "mypy", "ruff", "smoke"),
    *("--set", 'backend.pytest_arguments=["tests/unit/test_flaky.py"]'),
)


class TestTwoAtOnce:
    def test_same_verdicts(self, stage: Stage, shop: Path, tmp_path: Path) -> None:
        """Two runs on the same target at once end with the same verdicts, each in a snapshot of its own."""
        next(fault for fault in FAULTS if fault.name == "lint error").edit(shop)
        stages = [Stage(tmp_path / name, stage.home) for name in ("one", "other")]
        for each in stages:
            each.folder.mkdir()
        with ThreadPoolExecutor() as pool:
            one, other = pool.map(lambda each: each.ci(shop, *WITHOUT_FRONTEND, "--no-cache"), stages)

        assert one.id != other.id
        assert one.verdicts() == other.verdicts()
        assert one.ending_in("failed", "error") == {"backend/ruff"}
        assert one.anew() == other.anew() >= {"backend/mypy", "backend/pytest", "backend/smoke"}
