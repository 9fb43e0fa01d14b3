"""The drain: each run once, later where the server is away, and strangers' changes only where they may run."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from deployments.commanding import Commands
from deployments.draining import Drain
from tasks.adapters.deliveries import Arrival, Deliveries, Delivery, DeliveryState, RunState, StoredRun
from tasks.adapters.flow_runs import ServerBusy
from tasks.core.door_settings import DoorSettings, RepositorySettings
from tasks.core.events import Command, Trigger, route
from tests.core.github_events import HEAD, OTHER, check_run, comment, pull_request, push
from tests.deployments.door import ServerOfTests

SETTINGS = DoorSettings(repositories={"acme/shop": RepositorySettings()}, associations=("OWNER", "MEMBER"))
EARLY, LATE = "2026-01-01T10:00:00Z", "2026-01-01T10:00:09Z"


class Scene:
    """A store with its drain and its commands, and a server that the tests look at."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = Deliveries(home / "deliveries.db")
        self.server = ServerOfTests()
        self.drain = Drain(self.store, SETTINGS, lambda: self.server)
        self.commands = Commands(self.store, SETTINGS, home)
        self.count = 0

    def receive(self, event: str, sent: Any) -> str:
        self.count += 1
        found = route(event, sent, SETTINGS)
        starts = found.runs if isinstance(found, Trigger) else ()
        state = DeliveryState.RECEIVED if isinstance(found, Command) else DeliveryState.STARTED
        name, body = f"delivery-{self.count}", json.dumps(sent | {"count": self.count}).encode()
        self.store.receive(Arrival(name, event, "acme/shop", "ada", body, time.time(), state, starts=starts)).result()
        return name

    async def work(self) -> None:
        """Until nothing is left to do."""
        for delivery in await asyncio.wrap_future(self.store.unread()):
            await self.commands.carry_out(delivery)
        while await self.drain.turn(self.server):
            continue

    def states(self, delivery: str) -> list[str]:
        return [run.state.value for run in self.read(delivery).runs]

    def read(self, delivery: str) -> Delivery:
        found = self.store.read(delivery).result()
        assert found is not None
        return found

    def at_once(self) -> None:
        """What was put off is due now."""
        self.store._store.ask(lambda db: db.execute("UPDATE runs SET not_before = 0")).result()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.store.close()


async def test_each_run_once(scene: Scene) -> None:
    """A delivery becomes one run per deployment, under keys of the delivery and the deployment."""
    name = scene.receive("push", push("refs/heads/main"))
    await scene.work()
    await scene.work()

    assert [f"{name}:ci", f"{name}:security", f"{name}:cd"] == list(scene.server.runs)
    assert scene.states(name) == ["started"] * 3


async def test_broken_after_start(scene: Scene) -> None:
    """A run whose creation was not heard of is asked for again under its key, and is the same run."""
    name = scene.receive("push", push("refs/tags/v1.0.0"))
    scene.server.dies_after_start = True
    with pytest.raises(ServerBusy):
        await scene.drain.turn(scene.server)
    scene.server.dies_after_start = False
    scene.at_once()
    await scene.work()

    assert list(scene.server.runs) == [f"{name}:production"]
    assert scene.states(name) == ["started"]


async def test_away_and_back(scene: Scene) -> None:
    """While the server is away the drain says so and loses nothing; when it is back everything is handed over."""
    scene.server.is_away = True
    scene.receive("push", push())
    running = asyncio.create_task(scene.drain.run())
    async with asyncio.timeout(20):
        while not scene.drain.trouble:
            await asyncio.sleep(0.01)
        assert (scene.drain.trouble, scene.server.runs) == ("away", {})
        scene.server.is_away = False
        while len(scene.server.runs) < 2 or scene.drain.trouble:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_refused_and_missing(scene: Scene) -> None:
    """A run that the server calls wrong is refused with its words, one without a deployment waits; others go on."""
    scene.server.refuses = "ci"
    del scene.server.pools["cd"]
    name = scene.receive("push", push("refs/heads/main"))
    await scene.work()

    assert scene.states(name) == ["refused", "started", "waiting"]
    ci, _, cd = scene.read(name).runs
    assert "409" in ci.reason
    assert "no deployment cd" in cd.reason


async def test_newer_commits(scene: Scene) -> None:
    """A newer commit cancels the older runs of its pull request and of no other, nor any release."""
    release = scene.receive("push", push("refs/tags/v1.0.0"))
    other = scene.receive("pull_request", pull_request(number=8, moment=EARLY))
    old = scene.receive("pull_request", pull_request(commit=HEAD, moment=EARLY))
    await scene.work()
    new = scene.receive("pull_request", pull_request("synchronize", commit=OTHER, moment=LATE))
    await scene.work()

    assert [scene.states(name)[0] for name in (release, other, old, new)] == ["started"] * 2 + ["superseded", "started"]
    cancelled = {key.split(":")[0] for key, run in scene.server.runs.items() if run.is_cancelled}
    assert cancelled == {old}


async def test_newer_commit_first(scene: Scene) -> None:
    """A delivery that comes late does not undo a newer one, and starts nothing."""
    new = scene.receive("pull_request", pull_request("synchronize", commit=OTHER, moment=LATE))
    await scene.work()
    old = scene.receive("pull_request", pull_request(commit=HEAD, moment=EARLY))
    await scene.work()

    assert (scene.states(new), scene.states(old)) == (["started"] * 3, ["superseded"] * 3)
    assert len(scene.server.runs) == 3


async def test_older_run_that_a_crash_left(scene: Scene) -> None:
    """A run that was created just before a crash is still cancelled when a newer commit came meanwhile."""
    old = scene.receive("pull_request", pull_request("edited", commit=HEAD, moment=EARLY))
    scene.server.dies_after_start = True
    with pytest.raises(ServerBusy):
        await scene.drain.turn(scene.server)
    scene.server.dies_after_start = False
    scene.receive("pull_request", pull_request("edited", commit=OTHER, moment=LATE))
    scene.at_once()
    await scene.work()

    assert scene.server.runs[f"{old}:pr-checks"].is_cancelled
    assert [run.is_cancelled for run in scene.server.runs.values()] == [True, False]
    assert scene.states(old) == ["superseded"]


class TestForks:
    SENT = pull_request("edited", head="mallory/shop")

    async def test_held_until_allowed(self, scene: Scene) -> None:
        """On a process pool a fork's change runs only after a maintainer allowed that very commit, still untrusted."""
        name = scene.receive("pull_request", self.SENT)
        await scene.work()
        assert (scene.states(name), scene.server.runs) == (["held"], {})
        assert f"/towpath ok {HEAD}" in scene.read(name).runs[0].reason

        scene.receive("issue_comment", comment(f"/towpath ok {OTHER}"))
        await scene.work()
        assert scene.server.runs == {}
        scene.receive("issue_comment", comment(f"/towpath ok {HEAD}"))
        await scene.work()
        (run,) = scene.server.runs.values()
        assert run.parameters["origin"]["is_trusted"] is False
        assert "untrusted" in run.tags

    async def test_allowed_while_it_is_being_held(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        """A commit that is allowed just as the drain decides to hold it runs, and is not held for ever."""
        scene.receive("pull_request", self.SENT)
        write = scene.store.set_run

        def allow_first(run: StoredRun, state: RunState, **more: Any) -> "Future[None]":
            if state is RunState.HELD:
                scene.store.allow("acme/shop", 7, HEAD, "ada").result()
            return write(run, state, **more)

        monkeypatch.setattr(scene.store, "set_run", allow_first)
        await scene.work()

        assert [run.deployment for run in scene.server.runs.values()] == ["pr-checks"]

    async def test_next_commit_is_held_again(self, scene: Scene) -> None:
        """What was allowed for one commit is not for the next."""
        scene.receive("issue_comment", comment(f"/towpath ok {HEAD}"))
        name = scene.receive("pull_request", pull_request("edited", head="mallory/shop", commit=OTHER))
        await scene.work()

        assert scene.states(name) == ["held"]

    async def test_strangers_cannot_allow(self, scene: Scene) -> None:
        """The author of a fork cannot let his own commit run."""
        name = scene.receive("pull_request", self.SENT)
        sent = comment(f"/towpath ok {HEAD}", by="mallory", association="CONTRIBUTOR")
        assert not isinstance(route("issue_comment", sent, SETTINGS), Command)
        await scene.work()

        assert scene.states(name) == ["held"]

    async def test_pool_for_strangers(self, scene: Scene) -> None:
        """With a deployment for untrusted work in another kind of pool nobody has to be asked."""
        scene.server.pools["pr-checks-untrusted"] = "docker"
        scene.receive("pull_request", self.SENT)
        await scene.work()

        assert [run.deployment for run in scene.server.runs.values()] == ["pr-checks-untrusted"]

    async def test_pool_for_strangers_on_this_machine(self, scene: Scene) -> None:
        """A pool for untrusted work that runs processes on this machine is none."""
        scene.server.pools["pr-checks-untrusted"] = "process"
        name = scene.receive("pull_request", self.SENT)
        await scene.work()

        assert scene.states(name) == ["held"]

    async def test_deployment_that_knows_no_origin(self, scene: Scene) -> None:
        """A deployment that would not know the change for a stranger's never gets it, allowed or not."""
        scene.server.words = frozenset({"target", "ref"})
        name = scene.receive("pull_request", self.SENT)
        scene.receive("issue_comment", comment(f"/towpath ok {HEAD}"))
        await scene.work()

        assert (scene.states(name), scene.server.runs) == (["refused"], {})

    async def test_canary_of_a_fork(self, scene: Scene) -> None:
        """No canary starts from a fork's head."""
        scene.receive("pull_request", self.SENT)
        name = scene.receive("issue_comment", comment("/towpath canary start"))
        await scene.work()

        assert scene.read(name).state is DeliveryState.REFUSED
        assert "from a fork" in scene.read(name).reason


class TestCommands:
    async def test_canary(self, scene: Scene) -> None:
        """A canary starts of the pull request's newest head, once, in the name of who asked."""
        scene.receive("pull_request", pull_request("edited", commit=OTHER, moment=LATE))
        name = scene.receive("issue_comment", comment("/towpath canary start"))
        await scene.work()
        run = scene.server.runs[f"{name}:canary"]

        assert (run.parameters["ref"], run.parameters["who"]) == (OTHER, "ada")

    async def test_rerun(self, scene: Scene) -> None:
        """A check that is asked for again runs its deployment once more, with no memory of it."""
        scene.receive("pull_request", pull_request(commit=OTHER))
        await scene.work()
        name = scene.receive("issue_comment", comment("/towpath rerun ci / lint"))
        await scene.work()
        run = scene.server.runs[f"{name}:ci-again"]

        assert run.parameters["ref"] == OTHER
        assert run.parameters["afresh"] == ["lint"]

    async def test_button(self, scene: Scene) -> None:
        """The button on a check run repeats the run of that commit."""
        scene.receive("pull_request", pull_request(commit=HEAD))
        name = scene.receive("check_run", check_run("Title"))
        await scene.work()

        assert f"{name}:pr-checks-again" in scene.server.runs

    async def test_nothing_to_repeat(self, scene: Scene) -> None:
        """A check of a pull request that was never seen is refused with the reason."""
        name = scene.receive("issue_comment", comment("/towpath rerun ci"))
        await scene.work()

        assert scene.read(name).state is DeliveryState.REFUSED
        assert "no run of ci is known" in scene.read(name).reason

    async def test_answer_for_nobody(self, scene: Scene) -> None:
        """An approval of a run that does not wait is refused, and the reason is kept."""
        name = scene.receive("issue_comment", comment("/towpath approve 0a1b2c3d"))
        await scene.work()

        assert scene.read(name).state is DeliveryState.REFUSED
        assert "no run 0a1b2c3d waits" in scene.read(name).reason

    async def test_run_of_another_repository(self, scene: Scene) -> None:
        """Who may speak for one repository cannot answer for a run of another."""
        scene.receive("push", push("refs/tags/v1.0.0"))
        (run,) = scene.store.due(time.time(), 9).result()
        scene.store.set_run(run, RunState.STARTED, flow_run="0a1b2c3d-1").result()
        elsewhere = Command(
            route("issue_comment", comment("/towpath approve 0a1b2c3d"), SETTINGS).word,  # type: ignore[union-attr]
            "eve",
            "acme/other",
            "https://forge.test/acme/other.git",
        )

        assert "is not one of acme/other" in await scene.commands._foreign(elsewhere, "0a1b2c3d")
