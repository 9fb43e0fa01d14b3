"""What died is told of where people look: deployments end as the records say, once, and when the forge can hear it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.burying import conclude_changes
from tasks.adapters.grounds import Ground
from tasks.adapters.intents import forget_intent
from tasks.adapters.ledger import write_record
from tasks.adapters.live_runs import hold_run
from tasks.adapters.shown_changes import ShownChange, remember_change
from tasks.core.forge.words import DeploymentState, ForgeDeployment
from tasks.core.origin import Origin
from tasks.core.platform import Permit
from tasks.core.records import Ending
from tests.core.deliveries import a_record, a_release
from tests.deployments.test_guard import TOKEN, under_way
from tests.lab.hub import OWNER, REPOSITORY, Fault, Hub, hub

RUN = "0a1b2c3d-0000-4000-8000-000000000001"
ORIGIN = Origin(repository=f"{OWNER}/{REPOSITORY}", commit="c0ffee" + "0" * 34, is_trusted=True)
pytestmark = pytest.mark.network


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub() as found:
        monkeypatch.setenv("GITHUB_API_URL", found.address)
        monkeypatch.setenv("GITHUB_TOKEN", "not-a-token")
        yield found
    assert found.complaints == []


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Production, with a change of a run that a forge shows as under way for a while."""
    found = Ground(tmp_path, "shop", "production")
    found.folder.mkdir(parents=True)
    under_way_there = ForgeDeployment(
        key=RUN, environment="production", state=DeploymentState.IN_PROGRESS, description="cd of v1"
    )
    remember_change(tmp_path, ShownChange("shop", ORIGIN, under_way_there))
    os.utime(tmp_path / "shown-changes" / f"{RUN}.production.json", (0, 0))
    return found


def told(github: Hub) -> list[str]:
    return [str(each["state"]) for states in github.deployment_statuses.values() for each in states]


@pytest.mark.parametrize(
    ("ending", "state"), [(Ending.RELEASED, "success"), (Ending.ROLLED_BACK, "failure"), (None, "failure")]
)
async def test_as_the_record_says(ground: Ground, github: Hub, ending: Ending | None, state: str) -> None:
    """A deployment whose process was killed ends as its record says, without one as failed, and is told once."""
    if ending:
        write_record(ground, a_record(1, a_release("v1"), ending=ending, run=RUN))
    await conclude_changes(ground.state)
    await conclude_changes(ground.state)

    assert told(github) == [state]
    assert github.deployments[0]["environment"] == "production"


async def test_not_before_it_is_over(ground: Ground, github: Hub) -> None:
    """While its process lives, or the guard has yet to undo it, nothing is told."""
    with hold_run(ground.state, RUN):
        await conclude_changes(ground.state)
    under_way(ground, run=RUN)
    await conclude_changes(ground.state)
    assert told(github) == []
    forget_intent(ground, Permit(ground.environment, TOKEN))
    await conclude_changes(ground.state)

    assert told(github) == ["failure"]


async def test_until_it_is_heard(ground: Ground, github: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A forge that is away, and a door without a token, are no reason to forget it; what is refused for good is one."""
    with monkeypatch.context() as without:
        without.delenv("GITHUB_TOKEN")
        await conclude_changes(ground.state)
    github.faults += [Fault(method="GET", ending="/deployments", status=403, headers={"retry-after": "3600"})]
    await conclude_changes(ground.state)
    assert told(github) == []
    github.faults += [Fault(method="GET", ending="/deployments", status=401)]
    await conclude_changes(ground.state)

    assert told(github) == []
    assert list((ground.state / "shown-changes").iterdir()) == []
