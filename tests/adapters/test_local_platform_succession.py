"""The supervisor's death: nothing stops, nothing is doubled, nothing is orphaned; its orderly end leaves nothing."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tasks.adapters import daemons
from tasks.adapters.daemons import birth_of
from tasks.adapters.platforms.local.families import kill, marks
from tasks.adapters.platforms.local.supervisor import end_strays
from tasks.adapters.process import clean_environment
from tasks.core.observed import Observed, ObservedInstance
from tasks.core.platform import PlatformTrouble, Role
from tests.adapters.local_stage import ENVIRONMENT, ROOT, load, stage, until, web

STABLE = {"router", "web-1-1", "web-1-2"}


async def test_a_successor_takes_over_what_runs(tmp_path: Path) -> None:
    """The same processes, counted restarts and all, and not one request is lost."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        before = {(each.pid, each.mark) for each in on.processes()}
        async with load(on.url, per_second=100) as visitors:
            on.kill_supervisor()
            assert await on.answers(20) == {"v1": 20}
            on.supervise()
            await on.until_status(lambda status: not status.note, what="supervised again")
            await on.until_ready(Role.STABLE, 2)
        assert visitors.failures() == []
        assert {(each.pid, each.mark) for each in on.processes()} == before
        await on.platform.scale(on.permit, Role.STABLE, {"web": 3})
        await on.until_marks(STABLE | {"web-1-3"})


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3])
async def test_a_death_while_instances_start_leaves_none_over(tmp_path: Path, seconds: float) -> None:
    """At any moment of the start of six instances: the successor has six, each once."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        await on.put(on.release("v2"), 6)
        await asyncio.sleep(seconds)
        on.kill_supervisor()
        on.supervise()
        await on.until_ready(Role.CANDIDATE, 6)
        await on.until_marks(STABLE | {f"web-2-{number}" for number in range(1, 7)})


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3, 0.6, 0.8])
async def test_a_death_while_instances_are_drained_leaves_none_over(tmp_path: Path, seconds: float) -> None:
    """At any moment of a removal: the successor ends it, and no visitor notices."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        await on.put_ready(on.release("v2"), 2)
        await on.platform.set_weight(on.permit, 50)
        async with load(on.url, per_second=50) as visitors:
            await on.platform.remove(on.permit)
            await asyncio.sleep(seconds)
            on.kill_supervisor()
            on.supervise()
            await on.until_marks(STABLE)
        assert visitors.failures() == []


async def test_what_changed_meanwhile_is_made_so(tmp_path: Path) -> None:
    """What was removed while nobody supervised is ended, and what crashed is started again and counted."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        await on.put_ready(on.release("v2"))
        on.kill_supervisor()
        await on.platform.remove(on.permit)
        psutil.Process(on.instance("web-1-1").pid).kill()
        on.supervise()
        await on.until_ready(Role.STABLE, 2)
        await on.until_marks(STABLE)
        assert (on.instance("web-1-1").restarts, on.instance("web-1-2").restarts) == (1, 0)


async def test_a_status_nobody_keeps_up_tells_no_past(tmp_path: Path) -> None:
    """An instance that died after its supervisor is not called ready, and gets no traffic from the next change."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        on.kill_supervisor()
        gone = on.instance("web-1-1")
        await kill({gone.pid: gone.birth})
        status = await on.status()
        assert [(each.name, each.is_ready) for each in status.instances] == [("web-1-1", False), ("web-1-2", True)]
        await on.platform.set_weight(on.permit, 0)
        assert str(gone.port) not in on.folder.routes.read_text()


async def test_processes_nobody_wrote_down_are_ended(tmp_path: Path) -> None:
    """A process with the mark of this state folder that no record knows is a stray; another folder's is not."""
    async with stage(tmp_path) as on:
        await on.stable()
        on.kill_supervisor()
        ours, theirs = (sleeper(marks(home, f"shop/{ENVIRONMENT}/web-1-2")) for home in (tmp_path, tmp_path / "other"))
        try:
            on.supervise()
            assert await asyncio.to_thread(ours.wait, 10) == -9
            assert theirs.poll() is None
            await on.until_logged("nobody wrote down")
        finally:
            theirs.kill()
            theirs.wait()


async def test_a_number_the_kernel_gave_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A record with the id of another's process and another birth is neither adopted nor killed."""
    stranger = sleeper({})
    try:
        async with stage(tmp_path) as on:
            await on.stable()
            on.kill_supervisor()
            observed = on.folder.read_observed()
            update = {"pid": stranger.pid, "birth": f"{observed.instances[0].birth}0"}
            gone = ObservedInstance(
                name="web-9-1", component="web", generation=9, version="v9", is_ready=True, **update
            )
            wrong = observed.instances[0].model_copy(update=update)
            on.folder.write_observed(Observed(router=observed.router, instances=(wrong, gone)))
            on.supervise()
            await on.until_ready(Role.STABLE, 1)
            await on.until_marks({"router", "web-1-1"})
            assert birth_of(stranger.pid)
    finally:
        stranger.kill()
        stranger.wait()


async def test_there_is_only_ever_one_supervisor(tmp_path: Path) -> None:
    """A second one says so in one line and leaves with 0."""
    async with stage(tmp_path) as on:
        await on.stable()
        assert await asyncio.to_thread(on.supervise().wait, 10) == 0
        assert on.said().splitlines() == [f"the platform in {tmp_path} runs already"]
        assert on.supervisors[0].poll() is None
        with pytest.raises(PlatformTrouble, match="towpath down"):
            await end_strays(tmp_path)


async def test_an_orderly_end_leaves_nothing_and_forgets_nothing(tmp_path: Path) -> None:
    """No process is left; the next start brings back what was wanted, with its share."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        await on.put_ready(on.release("v2"))
        await on.platform.set_weight(on.permit, 25)
        wanted = on.folder.wanted.read_bytes()
        began = time.monotonic()
        assert await asyncio.to_thread(on.stop_supervisor) == 0
        assert time.monotonic() - began < 5
        assert on.processes() == []
        assert on.folder.wanted.read_bytes() == wanted
        assert {each.is_ready for each in (await on.status()).instances} == {False}
        on.supervise()
        await on.until_ready(Role.STABLE, 2)
        await on.until_ready(Role.CANDIDATE, 1)
        assert (await on.status()).candidate_percent == 25


async def test_an_end_while_everything_changes_leaves_nothing(tmp_path: Path) -> None:
    """Also in the middle of a start and of a drain."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        await on.put_ready(on.release("v2"))
        await on.platform.remove(on.permit)
        await on.put(on.release("v3", {"web": web(start_seconds=0.3)}, variables={"READY": "0"}), 3)
        await on.until_restarted("web-3-1", 1)
        assert await asyncio.to_thread(on.stop_supervisor) == 0
        assert on.processes() == []


async def test_it_is_a_daemon_like_the_others(tmp_path: Path) -> None:
    """Started, found by its record and ended the way Towpath does it with its daemons."""
    async with stage(tmp_path) as on:
        on.kill_supervisor()
        await end_strays(tmp_path)
        record = tmp_path / "platform.json"
        daemons.start(
            (sys.executable, "-m", "tasks.adapters.platforms.local"),
            record=record,
            log=tmp_path / "platform.log",
            directory=ROOT,
            environment=clean_environment(needs=frozenset(), extras={"TOWPATH_HOME": str(tmp_path)}),
            url="",
            facts={},
        )
        try:
            await on.stable("v1", 2)
        finally:
            assert await daemons.stop(record)
        assert on.processes() == []


async def test_what_a_dead_supervisor_left_can_be_ended(tmp_path: Path) -> None:
    """Without a supervisor everything of the state folder is found and ended, and the status knows."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        on.kill_supervisor()
        assert await end_strays(tmp_path) == 3
        assert on.processes() == []

        async def is_known() -> bool:
            return not any(each.is_ready for each in (await on.status()).instances)

        await until(is_known, what="nothing is ready")
        assert await end_strays(tmp_path) == 0


def sleeper(variables: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(("sleep", "60"), env={**os.environ, **variables})
