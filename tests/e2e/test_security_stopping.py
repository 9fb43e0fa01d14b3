"""A security run that is killed leaves nothing behind: no process, no private folder, no group, no false result."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.own_scanners import make_scanned, sarif
from tests.e2e.stage import Stage, Started, end, is_alive, until

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

GONE_SECONDS = 2.0
# A sleep that a shell waits for, and one in a session of its own, which a group's kill would miss.
_COMMAND = f"if [ -e hold ]; then setsid sleep 612 & sleep 611; fi; echo '{sarif()}'"
_GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Two scanners of the user's own, one of which takes its time for as long as the target holds a certain file."""
    place = make_scanned(tmp_path / "target", {"quick": f"echo '{sarif()}'", "slow": _COMMAND})
    (place / "hold").touch()
    return place


@pytest.fixture
def begin(stage: Stage) -> Iterator[Callable[[Path], Started]]:
    begun: list[Started] = []

    def begin(target: Path) -> Started:
        begun.append(stage.start("security", target, "--plain", "--allow-missing", "docker"))
        return begun[-1]

    yield begin
    for started in begun:
        end(started)


def sleepers() -> list[psutil.Process]:
    """What runs the slow scanner: its shell, its sleeps, and the rooms they are in."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if {"611", "612"} & set(" ".join(process.cmdline()).replace(";", " ").split()):
                found.append(process)
    return [process for process in found if is_alive(process)]


def when_both_sleep() -> list[psutil.Process]:
    def look() -> list[psutil.Process] | None:
        found = sleepers()
        words = [process.cmdline() for process in found]
        return found if ["sleep", "611"] in words and ["sleep", "612"] in words else None

    return until(look, what="two sleeps in the scanner's room")


def groups() -> set[Path]:
    return {place for place in _GROUPS.glob("**/towpath-*") if place.is_dir()}


def private_folders(stage: Stage) -> list[Path]:
    return list((stage.home / "scratch").glob("*"))


def test_killed_while_a_scanner_works(stage: Stage, target: Path, begin: Callable[[Path], Started]) -> None:
    """After kill -9 the scanner is gone within 2 s; the next run removes the rest, believes what had passed, passes."""
    groups_before = groups()
    started = begin(target)
    everything, run_id = when_both_sleep(), started.run_id()
    until(lambda: "code/quick" in started.output.read_text(), what="the end of the quick scanner")
    since = time.monotonic()
    started.process.kill()
    started.process.wait()
    until(lambda: not any(is_alive(process) for process in everything) or None, seconds=GONE_SECONDS, what="their end")
    assert time.monotonic() - since < GONE_SECONDS
    assert stage.state_of(run_id) == ("RUNNING", "Running")
    assert stage.reports(run_id) == []

    (target / "hold").unlink()
    following = scanned(stage, target)
    assert following["verdict"] == "passed"
    assert {check["id"] for check in following["checks"] if check["verdict"] == "passed"} >= {"code/quick", "code/slow"}
    assert not next(check for check in following["checks"] if check["id"] == "code/slow")["cached"]
    assert stage.state_of(run_id) == ("CRASHED", "Crashed")
    assert private_folders(stage) == []
    assert groups() <= groups_before


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_stopped_while_a_scanner_works(
    stage: Stage, target: Path, begin: Callable[[Path], Started], stop: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM end the scanner within 2 s, the run is Cancelled, and no private folder is left."""
    groups_before = groups()
    started = begin(target)
    everything, run_id = when_both_sleep(), started.run_id()
    since = time.monotonic()
    os.killpg(started.process.pid, stop)
    assert started.process.wait(timeout=20) == 130
    until(lambda: not any(is_alive(process) for process in everything) or None, seconds=GONE_SECONDS, what="their end")
    assert time.monotonic() - since < 2 * GONE_SECONDS
    assert stage.state_of(run_id) == ("CANCELLED", "Cancelled")
    assert private_folders(stage) == []
    assert groups() <= groups_before


def _has_snapshot(stage: Stage) -> bool:
    return any((stage.home / "targets").glob("*/*"))


def _has_private_folder(stage: Stage) -> bool:
    return bool(private_folders(stage))


def _has_report_folder(stage: Stage) -> bool:
    return any((stage.home / "reports").glob("*/logs/*"))


def _has_kept_results(stage: Stage) -> bool:
    return any((stage.home / "reports").glob("*/*.sarif"))


@pytest.mark.parametrize("moment", [_has_snapshot, _has_private_folder, _has_report_folder, _has_kept_results])
def test_killed_at_any_step(
    stage: Stage, target: Path, begin: Callable[[Path], Started], moment: Callable[[Stage], bool]
) -> None:
    """Given kill -9 as soon as a step has left its first trace, the next run is whole and nothing is left over."""
    (target / "hold").unlink()
    assert scanned(stage, target)["verdict"] == "passed"
    groups_before = groups()
    for name in ("targets", "reports"):
        shutil.rmtree(stage.home / name)
    (target / "more.txt").write_text(moment.__name__)
    started = begin(target)
    until(lambda: moment(stage) or started.process.poll() is not None or None, what=moment.__name__)
    started.process.kill()
    started.process.wait()

    following = scanned(stage, target)
    assert following["verdict"] == "passed"
    assert {check["verdict"] for check in following["checks"]} == {"passed", "skipped"}
    assert private_folders(stage) == []
    assert groups() <= groups_before
    assert not [process for process in stage.tools() if is_alive(process)]


def scanned(stage: Stage, target: Path) -> dict[str, Any]:
    """The report of a run to its end."""
    file = stage.folder / "stopping.json"
    file.unlink(missing_ok=True)
    said = stage.towpath("security", target, "--plain", "--allow-missing", "docker", "--json", file)
    assert file.exists(), said.errors or said.output
    read: dict[str, Any] = json.loads(file.read_text())
    return read
