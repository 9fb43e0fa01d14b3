"""What signed comments may reach, and that one which has to wait keeps no other."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments import commanding
from deployments.answering import Answered
from deployments.commanding import Commands
from tasks.adapters.approvals import Pending, abort_asked, write_pending
from tasks.adapters.deliveries import Arrival, Deliveries, Delivery, DeliveryState
from tasks.adapters.grounds import Ground
from tasks.core.approval import ApprovalRequest
from tasks.core.door_settings import DoorSettings, RepositorySettings
from tasks.core.outcome import ExitCode
from tasks.core.records import Kind
from tests.core.deliveries import a_release
from tests.core.github_events import comment
from tests.deployments.test_guard import under_way

SETTINGS = DoorSettings(repositories={"acme/shop": RepositorySettings()}, associations=("OWNER", "MEMBER"))
OURS, THEIRS = "https://forge.test/acme/shop", "https://forge.test/mallory/shop.git"
RUN, OTHER_RUN = "0a1b2c3d-0000-4000-8000-000000000001", "0f0f0f0f-0000-4000-8000-000000000002"


class Door:
    """A store with its commands."""

    def __init__(self, home: Path) -> None:
        self.store = Deliveries(home / "deliveries.db")
        self.commands = Commands(self.store, SETTINGS, home)
        self.count = 0

    def hear(self, text: str, *, seconds_ago: float = 0.0) -> str:
        self.count += 1
        sent, name = comment(text), f"delivery-{self.count}"
        body = json.dumps(sent | {"count": self.count}).encode()
        arrival = Arrival(
            name, "issue_comment", "acme/shop", "ada", body, time.time() - seconds_ago, DeliveryState.RECEIVED
        )
        self.store.receive(arrival).result()
        return name

    def read(self, name: str) -> Delivery:
        found = self.store.read(name).result()
        assert found is not None
        return found


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    found = Ground(tmp_path, "shop", "production")
    found.folder.mkdir(parents=True)
    return found


class TestWhoseRun:
    @pytest.mark.parametrize(("source", "is_ours"), [(OURS, True), (THEIRS, False), ("/srv/shop", False), ("", False)])
    async def test_canary(self, door: Door, ground: Ground, source: str, is_ours: bool) -> None:
        """A canary with no open question is taken back for the repository of its full address, and for no other."""
        under_way(ground, kind=Kind.CANARY, run=RUN, source=source)
        name = door.hear("/towpath reject 0a1b2c3d")
        await door.commands.turn()

        assert bool(abort_asked(ground, RUN)) is is_ours
        found = door.read(name)
        assert found.state is (DeliveryState.STARTED if is_ours else DeliveryState.REFUSED)
        assert ("is not one of acme/shop" in found.reason) is not is_ours

    @pytest.mark.parametrize("source", [THEIRS, "", "/srv/shop"])
    async def test_question(self, door: Door, ground: Ground, source: str) -> None:
        """A question of a repository with the same last name is none of this one's, and nothing is told of it."""
        request = ApprovalRequest(
            run=RUN,
            target="shop",
            source=source,
            environment="production",
            question="Promote?",
            version="v9.9.9",
            digest=a_release("v9.9.9").digest,
            asked_at=time.time(),
            expires_at=time.time() + 3600,
        )
        write_pending(ground, Pending(request=request))
        name = door.hear("/towpath approve 0a1b2c3d")
        await door.commands.turn()

        assert door.read(name).state is DeliveryState.REFUSED
        assert "is not one of acme/shop" in door.read(name).reason
        assert "v9.9.9" not in door.read(name).reason


class TestOrder:
    @pytest.fixture
    def asked(self, door: Door, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What was asked of runs that are ours, in order; RUN is away until its trouble is taken out."""
        asked: list[str] = []
        self.troubles: dict[str, Any] = {RUN: Answered(ExitCode.ERROR, "the server is away")}

        async def answered(_: Path, run: str, decision: Any, **__: Any) -> Answered:
            asked.append(f"{decision} {run}")
            found = self.troubles.get(RUN if RUN.startswith(run) else run, Answered(ExitCode.PASSED, "heard"))
            if isinstance(found, Exception):
                raise found
            assert isinstance(found, Answered)
            return found

        async def ours(*_: Any) -> str:
            return ""

        monkeypatch.setattr(commanding, "answer", answered)
        monkeypatch.setattr(Commands, "_foreign", ours)
        return asked

    @pytest.mark.parametrize("trouble", [Answered(ExitCode.ERROR, "away"), RuntimeError("broken")])
    async def test_others_go_on(
        self, door: Door, asked: list[str], monkeypatch: pytest.MonkeyPatch, trouble: Any
    ) -> None:
        """A command that is put off or breaks keeps only later ones to the same run, which stay in order."""
        monkeypatch.setattr(commanding, "_AGAIN_SECONDS", 0.0)
        self.troubles[RUN] = trouble
        first, second = door.hear("/towpath approve 0a1b2c3d"), door.hear(f"/towpath reject {RUN}")
        third = door.hear(f"/towpath approve {OTHER_RUN}")
        await door.commands.turn()

        assert asked == ["approve 0a1b2c3d", f"approve {OTHER_RUN}"]
        assert [door.read(name).state.value for name in (first, second, third)] == ["received", "received", "started"]
        del self.troubles[RUN]
        await door.commands.turn()
        assert asked[2:] == ["approve 0a1b2c3d", f"reject {RUN}"]

    async def test_not_asked_at_once(self, door: Door, asked: list[str]) -> None:
        """What was put off is not asked again at the very next delivery, however many are put off before it."""
        for _ in range(25):
            door.hear("/towpath approve 0a1b2c3d")
        door.hear(f"/towpath approve {OTHER_RUN}")
        await door.commands.turn()
        await door.commands.turn()

        assert asked == ["approve 0a1b2c3d", f"approve {OTHER_RUN}"]

    async def test_broken_for_good(self, door: Door, asked: list[str]) -> None:
        """What is broken is refused after an hour, with what broke, and is not tried for ever."""
        self.troubles[RUN] = RuntimeError("broken")
        name = door.hear("/towpath approve 0a1b2c3d", seconds_ago=3601)
        await door.commands.turn()

        assert door.read(name).state is DeliveryState.REFUSED
        assert "RuntimeError: broken" in door.read(name).reason
