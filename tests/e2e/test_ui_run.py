"""Runs created the way the UI creates them: taken up by the worker, with the same report as from the terminal."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.own_scanners import make_scanned, sarif
from tests.e2e.repositories import make_target
from tests.e2e.stage import ROOT, Stage, is_alive, until, verdicts_of

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def up(stage: Stage) -> Iterator[Stage]:
    """The server and a worker that serves the deployments."""
    said = stage.towpath("up")
    assert said.exit_code == 0, said.errors
    assert stage.api_url().removesuffix("/api") in said.output
    yield stage
    stage.towpath("down")


def when_ended(stage: Stage, run_id: str) -> dict[str, Any]:
    """The state of a run that somebody else carries out, once it is final."""
    final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

    def look() -> dict[str, Any] | None:
        state: dict[str, Any] = stage.answer(f"/flow_runs/{run_id}")["state"]
        return state if state["type"] in final else None

    return until(look, seconds=180, what="the end of the run")


def flow_log(stage: Stage, run_id: str) -> str:
    lines = stage.answer("/logs/filter", {"logs": {"flow_run_id": {"any_": [run_id]}}})
    return "\n".join(line["message"] for line in lines)


def test_shop(up: Stage, shop: Path) -> None:
    """A run from the UI ends Completed with the checks and verdicts of the command line, whose results it believes."""
    from_terminal = up.ci(shop)
    run_id = up.submit({"target": str(shop), "may_lack": ["docker"]})
    state = when_ended(up, run_id)

    (path,) = up.reports(run_id)
    report = json.loads(path.read_text())
    assert (state["type"], state["message"]) == ("COMPLETED", from_terminal.report["reason"])
    assert verdicts_of(report) == from_terminal.verdicts()
    assert {check["id"] for check in report["checks"] if check["cached"]} == set(from_terminal.ending_in("passed"))
    assert report["run"].endswith(f"/runs/flow-run/{run_id}")
    status = up.towpath("status").output
    assert f"ci of shop: passed, {report['reason']}" in status


def test_without_an_engine(up: Stage, shop: Path) -> None:
    """Without permission to lack an engine, the images of a run from the UI are errors and the run is red."""
    settings = [f'checks.{name}={{enabled=false, reason="not asked here"}}' for name in ("pytest", "coverage", "smoke")]
    run_id = up.submit({"target": str(shop), "overrides": settings})
    state = when_ended(up, run_id)

    (path,) = up.reports(run_id)
    verdicts = verdicts_of(json.loads(path.read_text()))
    assert (state["type"], state["name"]) == ("FAILED", "Error")
    assert {name for name, verdict in verdicts.items() if verdict == "error"} == {"images/backend", "images/frontend"}


def test_failing_target(up: Stage, tmp_path: Path) -> None:
    """A check that fails makes the run red, with the gate's reason as its message."""
    target = make_target(tmp_path / "failing", {"bad": ["false"], "good": ["true"]})
    state = when_ended(up, up.submit({"target": str(target)}))

    assert (state["type"], state["name"]) == ("FAILED", "Failed")
    assert state["message"] == "1 of 2 checks block: own/bad"


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        pytest.param({}, "target", id="target-missing"),
        pytest.param({"target": ""}, "target", id="target-empty"),
        pytest.param({"target": ".", "fail_fast": "perhaps"}, "fail_fast", id="no-boolean"),
        pytest.param({"target": ".", "may_lack": ["everything"]}, "everything", id="unknown-choice"),
    ],
)
def test_bad_parameter(up: Stage, parameters: dict[str, Any], word: str) -> None:
    """A parameter that does not fit the form is refused at once, by name, and no run is made."""
    answer = up.try_to_submit(parameters)

    assert 400 <= answer.status_code < 500
    assert word in answer.text


def test_unknown_parameter(up: Stage, tmp_path: Path) -> None:
    """A parameter that the flow does not have is not silently ignored: the run is red, and its log names it."""
    target = make_target(tmp_path / "good", {"good": ["true"]})
    run_id = up.submit({"target": str(target), "use_cash": False})

    assert when_ended(up, run_id)["type"] == "CRASHED"
    assert up.reports(run_id) == []
    until(lambda: "use_cash" in flow_log(up, run_id), what="the parameter's name in the log")


def test_form(up: Stage) -> None:
    """The form says what each parameter means."""
    properties = up.answer("/deployments/name/ci/ci")["parameter_openapi_schema"]["properties"]

    assert set(properties) == {"target", "ref", "fail_fast", "use_cache", "may_lack", "overrides", "origin", "afresh"}
    assert all(field["description"] for field in properties.values())


STARTS = {
    "ci/ci": {},
    "security/security": {"may_lack": ["docker"]},
    "security-daily/security-daily": None,
    "pr_checks/pr-checks": {"base": "main"},
    "cd/cd": {},
    "canary/canary": {},
    "production/production": {"version": "v1.0.0"},
    "rollback/rollback": {"environment": "production"},
    "replay/replay": {},
}


def test_each_deployment_of_the_file_is_tried(up: Stage) -> None:
    """What prefect.yaml names is what is tried here, and the server has all of it."""
    wanted = [entry["name"] for entry in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]]
    assert sorted(name.partition("/")[2] for name in STARTS) == sorted(wanted)
    assert all(up.answer(f"/deployments/name/{name}")["status"] for name in STARTS)


@pytest.mark.parametrize("name", STARTS)
def test_each_deployment_starts(up: Stage, tmp_path: Path, name: str) -> None:
    """Begun with its form filled in, it comes to an end that it says itself: done, or in one line why not."""
    target = make_scanned(tmp_path / "held", {"own": f"echo '{sarif()}'"})
    given = STARTS[name]
    parameters = {} if given is None else {"target": str(target), **given}
    ended = when_ended(up, up.submit(parameters, deployment=name))
    assert ended["type"] in ("COMPLETED", "FAILED"), ended["message"]
    assert ended["message"]
    assert "Traceback" not in ended["message"]
    assert "encountered an exception" not in ended["message"]


@pytest.mark.parametrize("target", ["/nonexistent/target", "file:///nonexistent/target.git"], ids=["folder", "address"])
def test_no_such_target(up: Stage, target: str) -> None:
    """A target that does not exist ends the run as an error that one line explains."""
    state = when_ended(up, up.submit({"target": target}))

    assert (state["type"], state["name"]) == ("FAILED", "Error")
    assert target in state["message"]
    assert "\n" not in state["message"]


def test_down(up: Stage) -> None:
    """After `towpath down` no process of this home is left, and status says that nothing runs."""
    assert up.towpath("up").exit_code == 0
    processes = up.processes()
    said = up.towpath("down")

    assert len(processes) >= 3
    assert [line.split() for line in said.output.splitlines()] == [
        ["worker", "stopped"],
        ["server", "stopped"],
        ["guard", "stopped"],
        ["supervisor", "stopped"],
    ]
    assert [process for process in processes if is_alive(process)] == []
    assert up.processes() == []
    status = up.towpath("status").output
    assert "server      does not run" in status
    assert "worker      does not run" in status
