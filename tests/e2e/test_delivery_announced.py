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


def begun(delivered: Delivered, *, ref: str = "v1.0.0", **parameters: Any) -> str:
    """The id of a run of the deployment cd, created as the door creates one."""
    stage = delivered.stage
    commit = git(delivered.repository, "rev-parse", ref)
    origin = {"repository": f"{OWNER}/{REPOSITORY}", "commit": commit, "is_trusted": True}
    asked = {"target": str(delivered.repository), "ref": commit, "origin": origin, **parameters}
    return stage.submit(asked, deployment="cd/cd")


def ended(delivered: Delivered, run: str) -> dict[str, Any]:
    """The final state of a run."""
    stage = delivered.stage

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = stage.answer(f"/flow_runs/{run}")["state"]
        return found if found["type"] in _FINAL else None

    return until(look, seconds=120, what="the end of the release")


def test_a_release_is_a_deployment(production: Delivered, github: Hub) -> None:
    """The deployment is under way, then successful, at the commit that was released; another release is another one."""
    state = ended(production, begun(production))
    assert state["type"] == "COMPLETED", state["message"]
    (made,) = github.deployments
    assert (made["environment"], made["ref"]) == ("staging", git(production.repository, "rev-parse", "v1.0.0"))
    assert [told["state"] for told in github.deployment_statuses[made["id"]]] == ["success", "in_progress"]

    broken = 'delivery.components.web.command=["false"]'
    failed = ended(production, begun(production, overrides=[broken]))
    assert failed["type"] == "FAILED"
    assert [told["state"] for told in github.deployment_statuses[2]] == ["failure", "in_progress"]


def test_a_release_waits_for_the_stages_begun_with_it(production: Delivered, github: Hub) -> None:
    """Given a release that a push begins before CI has ended, it is released once CI has passed on its revision."""
    repository = production.repository
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "again")
    head = git(repository, "rev-parse", "HEAD")
    try:
        run = begun(production, ref=head, wait_seconds=300)
        until(lambda: production.stage.state_of(run)[0] == "RUNNING" or None, what="the start of the release")
        passed = production.run("ci", "--ref", head)
        assert passed.exit_code == 0, passed.errors
        state = ended(production, run)
    finally:
        git(repository, "reset", "--quiet", "--hard", "HEAD~1")
    assert state["type"] == "COMPLETED", state["message"]
    assert [made["ref"] for made in github.deployments] == [head]
