"""Security every night: the schedule is there, and a run that it would start scans what was asked for."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from deployments.missed import tell_missed
from tasks.core.notices import NotificationSettings
from tests.adapters.listening_server import hearing
from tests.e2e.own_scanners import make_scanned, sarif
from tests.e2e.stage import Stage, until

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]
_HOUR = timedelta(hours=1)
_FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@pytest.fixture
def up(stage: Stage) -> Iterator[Stage]:
    said = stage.towpath("up", extras={"TOWPATH_TIMEZONE": "Europe/Vienna"})
    assert said.exit_code == 0, said.errors
    yield stage
    stage.towpath("down")


def deployment(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = stage.answer("/deployments/name/security-daily/security-daily")
    return found


def run_as_scheduled(stage: Stage) -> dict[str, Any]:
    """The final state of a run of the deployment, whose parameters are its own."""
    run_id = stage.submit({}, deployment="security-daily/security-daily")

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = stage.answer(f"/flow_runs/{run_id}")["state"]
        return found if found["type"] in _FINAL else None

    return until(look, seconds=120, what="the end of the nightly run")


def scanned(stage: Stage, name: str) -> list[dict[str, Any]]:
    """The reports of a target's scans, oldest first."""
    reports = sorted((stage.home / "reports").glob(f"*-{name}-*/report.json"))
    return [json.loads(path.read_text()) for path in reports]


def test_every_night(up: Stage, tmp_path: Path) -> None:
    """At 03:17 of the zone that was chosen, each target added with --daily is scanned at its commit; one red is red."""
    (schedule,) = deployment(up)["schedules"]
    assert (schedule["active"], schedule["schedule"]["cron"]) == (True, "17 3 * * *")
    assert schedule["schedule"]["timezone"] == "Europe/Vienna"
    assert run_as_scheduled(up)["message"].startswith("no target is scanned daily")

    clean = make_scanned(tmp_path / "clean", {"own": f"echo '{sarif()}'"})
    flawed = make_scanned(tmp_path / "flawed", {"own": f"echo '{sarif('a flaw')}'"}, block_on="none")
    for target in (clean, flawed):
        up.towpath("security", target, "--daily", "--plain")
    (clean / "towpath.toml").write_text("nonsense = true\n")
    state = run_as_scheduled(up)
    assert state["type"] == "FAILED", state["message"]
    assert str(flawed) in state["message"]
    assert str(clean) not in state["message"]
    assert [report["verdict"] for report in scanned(up, "clean")] == ["passed", "passed"]

    for target in (clean, flawed):
        up.towpath("security", target, "--no-daily")
    assert run_as_scheduled(up)["message"].startswith("no target is scanned daily")


def scheduled_before(stage: Stage, moment: datetime) -> list[dict[str, Any]]:
    wanted = {"flow_runs": {"expected_start_time": {"before_": moment.isoformat()}}}
    return [run for run in stage.answer("/flow_runs/filter", wanted) if run["auto_scheduled"]]


def test_a_night_that_nobody_took_up(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a server without a worker, people are told once of a night that is late, and of no run they began."""
    assert stage.towpath("up").exit_code == 0
    worker = json.loads((stage.home / "server" / "worker.json").read_text())["pid"]
    supervisor = psutil.Process(worker)
    for process in [supervisor, *supervisor.children(recursive=True)]:
        process.kill()
    now = datetime.now(UTC)
    state = {"type": "SCHEDULED", "name": "Scheduled", "state_details": {"scheduled_time": f"{now - _HOUR}"}}
    path = f"/deployments/{deployment(stage)['id']}"
    begun = stage.answer(f"{path}/create_flow_run", {"state": state})["id"]
    night = {"start_time": f"{now - 25 * _HOUR}", "end_time": f"{now - _HOUR / 2}", "min_runs": 1, "max_runs": 1}
    stage.answer(f"{path}/schedule", night)
    (run,) = until(lambda: scheduled_before(stage, now), seconds=60, what="a run that the schedule began")
    for run_id in (begun, run["id"]):
        until(lambda: stage.state_of(run_id)[1] == "Late" or None, seconds=90, what="a late run")  # noqa: B023

    wanted = NotificationSettings(url_variable="NOTIFY")
    with hearing() as told:
        monkeypatch.setenv("NOTIFY", told.url)
        for _ in range(2):
            asyncio.run(tell_missed(stage.home, now=datetime.now(UTC), settings=wanted))
    for run_id in (begun, run["id"]):
        stage.ask(f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLED"}, "force": True})
    stage.towpath("down")
    (body,) = told.bodies
    due = datetime.fromisoformat(run["expected_start_time"])
    assert f"{run['name']} was due at {due:%Y-%m-%d %H:%M} UTC" in str(body["text"])


def test_a_zone_that_is_none(stage: Stage) -> None:
    """A time zone that nobody knows is refused in one line, before anything is registered."""
    said = stage.towpath("up", extras={"TOWPATH_TIMEZONE": "Mars/Olympus"})
    assert said.exit_code == 3
    assert said.errors.splitlines()[-1].endswith("name one like Europe/Berlin, or UTC")
    assert "Traceback" not in said.errors + said.output
