"""A release that a push begins is a deployment on GitHub, which ends as the record says."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.delivery_stage import Delivered
from tests.e2e.repositories import git
from tests.e2e.stage import NO_ENGINE, until
from tests.lab.hub import OWNER, REPOSITORY, Hub, hub

pytest_plugins = ["tests.e2e.delivery_fixtures"]
pytestmark = [pytest.mark.server, pytest.mark.network, pytest.mark.timeout(400)]
_FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@pytest.fixture
def github(production: Delivered) -> Iterator[Hub]:
    """A worker whose runs have a token for the hub."""
    with hub() as found:
        production.stage.towpath("down")
        known = {**NO_ENGINE, "GITHUB_API_URL": found.address, "GITHUB_TOKEN": "not-a-token"}
        said = production.stage.towpath("up", extras=known)
        assert said.exit_code == 0, said.errors
        yield found
        production.stage.towpath("down")
        assert production.stage.towpath("up").exit_code == 0
    assert found.complaints == []


def released(delivered: Delivered, **parameters: Any) -> dict[str, Any]:
    """The final state of a run of the deployment cd, created as the door creates one."""
    stage = delivered.stage
    commit = git(delivered.repository, "rev-parse", "v1.0.0")
    origin = {"repository": f"{OWNER}/{REPOSITORY}", "commit": commit, "is_trusted": True}
    state = {"type": "SCHEDULED", "message": "as the door does"}
    asked = {"target": str(delivered.repository), "ref": "v1.0.0", "origin": origin, **parameters}
    deployment = stage.answer("/deployments/name/cd/cd")["id"]
    run = stage.answer(f"/deployments/{deployment}/create_flow_run", {"parameters": asked, "state": state})["id"]

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = stage.answer(f"/flow_runs/{run}")["state"]
        return found if found["type"] in _FINAL else None

    return until(look, seconds=120, what="the end of the release")


def test_a_release_is_a_deployment(production: Delivered, github: Hub) -> None:
    """The deployment is under way, then successful, at the commit that was released; another release is another one."""
    state = released(production)
    assert state["type"] == "COMPLETED", state["message"]
    (made,) = github.deployments
    assert (made["environment"], made["ref"]) == ("staging", git(production.repository, "rev-parse", "v1.0.0"))
    assert [told["state"] for told in github.deployment_statuses[made["id"]]] == ["success", "in_progress"]

    broken = 'delivery.components.web.command=["false"]'
    failed = released(production, overrides=[broken])
    assert failed["type"] == "FAILED"
    assert [told["state"] for told in github.deployment_statuses[2]] == ["failure", "in_progress"]
