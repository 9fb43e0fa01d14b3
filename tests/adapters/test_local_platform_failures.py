"""What the local platform does when instances, the router, files and disks fail."""

import asyncio
import resource
import shutil
import socket
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tasks.adapters.plain_http import Unanswered
from tasks.adapters.platforms.local.output import MOST_BYTES, cap
from tasks.core.platform import Role
from tests.adapters.local_stage import ENVIRONMENT, Stage, load, stage, until, web


async def test_an_instance_that_crashes_is_started_again(tmp_path: Path) -> None:
    """Counted, after growing pauses, with its last words in the status; its fellow takes what it had not begun."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        async with load(on.url, per_second=100) as visitors:
            for crashes in (1, 2):
                began = on.instance("web-1-1").started
                await crash(on, "web-1-1")
                note = await on.until_restarted("web-1-1", crashes)
                assert "ended with status 3; it last said: told to crash" in note
                await on.until_ready(Role.STABLE, 2)
                assert (on.instance("web-1-1").started or 0) - (began or 0) > 0.25 * crashes
        assert len(visitors.failures()) <= 2, "only what an instance worked on when it crashed may be lost"
        await on.until_marks({"router", "web-1-1", "web-1-2"})
        stable = (await on.platform.snapshot(ENVIRONMENT)).stable
        assert stable is not None
        assert {name: counters.restarts for name, counters in stable.items()} == {"web-1-1": 2, "web-1-2": 0}


async def test_an_instance_that_no_longer_lives_is_started_again(tmp_path: Path) -> None:
    """Three answers that are none, and it is another process; the note says why meanwhile."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        before = on.instance("web-1-1").pid
        await on.tell("web-1-1", "/switch?live=0")
        assert "not alive: it answers 503" in await on.until_restarted("web-1-1", 1)
        await on.until_ready(Role.STABLE, 2)
        assert on.instance("web-1-1").pid != before
        assert not psutil.pid_exists(before)


async def test_an_instance_that_is_not_ready_gets_no_traffic_and_is_left_alone(tmp_path: Path) -> None:
    """It loses its traffic, keeps its process, and gets the traffic back when it says so."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        pid = on.instance("web-1-1").pid
        await on.tell("web-1-1", "/switch?ready=0")
        await on.until_status(lambda status: not status.instances[0].is_ready, what="unready")
        assert (await on.status()).instances[0].note == "not ready: it answers 503"
        await on.tell("web-1-1", "/switch?ready=1")
        await on.until_ready(Role.STABLE, 2)
        assert (on.instance("web-1-1").pid, on.instance("web-1-1").restarts) == (pid, 0)


async def test_a_release_that_is_never_ready_never_gets_traffic(tmp_path: Path) -> None:
    """It is started again when its time is up, the status says why, and every visitor sees the stable release."""
    async with stage(tmp_path) as on:
        await on.stable()
        await on.put(on.release("v2", {"web": web(start_seconds=0.5)}, variables={"READY": "0"}))
        note = await on.until_restarted("web-2-1", 2)
        assert "not ready within 0.5 s: it answers 503; it last said: v2 listens on" in note
        assert (
            (await on.status()).lacking(Role.CANDIDATE, {"web": 1}).startswith("web 0 of 1 ready; web-2-1: not ready")
        )
        assert await on.answers(50) == {"v1": 50}
        await on.platform.remove(on.permit)
        await on.until_marks({"router", "web-1-1"})


async def test_a_command_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    """The note names the program; nothing else suffers."""
    async with stage(tmp_path) as on:
        await on.stable()
        await on.put(on.release("v2", {"web": web(command=("no-such-program",))}))
        assert "no-such-program could not be started" in await on.until_restarted("web-2-1", 1)
        assert await on.answers(10) == {"v1": 10}


async def test_a_router_that_is_killed_is_back_within_two_seconds(tmp_path: Path) -> None:
    """On the same port, with the same share."""
    async with stage(tmp_path) as on:
        await on.stable()
        await on.put_ready(on.release("v2"))
        await on.platform.set_weight(on.permit, 50)
        await on.kill_router()
        began = time.monotonic()

        async def is_back() -> bool:
            try:
                return set(await on.answers(2)) == {"v1", "v2"}
            except httpx.HTTPError:
                return False

        await until(is_back, what="the router answers again")
        assert time.monotonic() - began < 2
        await on.until_marks({"router", "web-1-1", "web-2-1"})


async def test_a_port_that_somebody_took_is_told_and_waited_for(tmp_path: Path) -> None:
    """The status says what the router said, and the environment is there once the port is free."""
    async with stage(tmp_path) as on:
        await on.stable()
        await asyncio.to_thread(on.stop_supervisor)
        with socket.create_server(("127.0.0.1", int(on.url.rpartition(":")[2]))):
            on.supervise()
            await on.until_status(lambda status: "address already in use" in status.note, what="the port is taken")
        await on.until_status(lambda status: not status.note, what="the router is there")
        await on.until_ready(Role.STABLE, 1)

        async def is_served() -> bool:
            return await on.answers(5) == {"v1": 5}

        await until(is_served, what="the router that is back has seen the instance")


async def test_an_environment_that_was_made_anew_has_nothing_of_the_old_one(tmp_path: Path) -> None:
    """Somebody deletes its folder under the supervisor's hands and puts another release of the same name."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        before = {each.pid for each in on.processes()}
        # Moved first: the supervisor may be writing into it at this very moment.
        shutil.rmtree(on.folder.path.rename(tmp_path / "gone"), ignore_errors=True)
        on.platform.prepare(ENVIRONMENT, int(on.url.rpartition(":")[2]) + 1)
        on.take_permit()
        await on.until_marks({"router"})
        await on.stable("v1")
        assert await on.answers(5) == {"v1": 5}
        await on.until_marks({"router", "web-1-1"})
        assert not before & {each.pid for each in on.processes()}


async def test_what_an_instance_starts_goes_with_it(tmp_path: Path) -> None:
    """Also a child in a session of its own, whether the instance is removed or crashes."""
    async with stage(tmp_path) as on:
        await on.stable()
        await on.put_ready(on.release("v2"))
        for name in ("web-1-1", "web-2-1"):
            await on.tell(name, "/child")
        assert on.marks() == ["router", "web-1-1", "web-1-1", "web-2-1", "web-2-1"]
        await on.platform.remove(on.permit)
        await crash(on, "web-1-1")
        await on.until_marks({"router", "web-1-1"})


async def test_an_instance_that_will_not_end_is_killed(tmp_path: Path) -> None:
    """After its seconds to drain, with everything in its session."""
    stubborn = ("sh", "-c", "trap '' TERM; python3 -S {artifact}/serve.py {port} & while :; do sleep 0.1; done")
    async with stage(tmp_path) as on:
        await on.stable()
        await on.put_ready(on.release("v2", {"web": web(command=stubborn, drain_seconds=0.5)}))
        await on.platform.remove(on.permit)
        await on.until_marks({"router", "web-1-1"}, seconds=4)


async def test_a_request_that_has_begun_is_finished(tmp_path: Path) -> None:
    """A slow answer of an instance that is removed still arrives."""
    async with stage(tmp_path) as on:
        await on.stable()
        await on.put_ready(on.release("v2"))
        await on.platform.set_weight(on.permit, 100)
        slow = asyncio.create_task(on.ask("/slow?seconds=1.5"))
        await on.until_asked("web-2-1")
        await on.platform.remove(on.permit)
        assert await slow == "v2"


async def test_files_nobody_can_read_change_nothing(tmp_path: Path) -> None:
    """One line for each, what runs goes on, and the next good file is followed."""
    async with stage(tmp_path) as on:
        await on.stable()
        good = on.folder.wanted.read_bytes()
        foreign = on.state / "delivery" / "foreign" / "thing"
        foreign.mkdir(parents=True)
        (foreign / "wanted.json").write_text("[]")
        (on.state / "delivery" / "foreign" / "file").write_text("")
        for content in (good[: len(good) // 2], b"", b"\xff\x00"):
            on.folder.wanted.write_bytes(content)
            await on.until_noted("wanted.json cannot be read")
            assert await on.answers(10) == {"v1": 10}
        assert on.said().count("foreign/thing: ") == 1
        on.folder.wanted.write_bytes(good)
        await on.until_status(lambda status: not status.note, what="no trouble left")
        await on.platform.scale(on.permit, Role.STABLE, {"web": 2})
        await on.until_ready(Role.STABLE, 2)


async def test_a_full_disk_stops_nothing_that_runs(tmp_path: Path) -> None:
    """With no byte to write the supervisor says so once, keeps what runs, and goes on when there is room again."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        pid, pids = on.supervisors[-1].pid, {each.pid for each in on.instances()}
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE, (700, resource.RLIM_INFINITY))
        on.touch_wanted()
        await on.until_logged("could not be written down")
        assert await on.answers(20) == {"v1": 20}
        assert {each.pid for each in on.instances()} == pids
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        await on.platform.scale(on.permit, Role.STABLE, {"web": 3})
        await on.until_ready(Role.STABLE, 3)
        assert pids < {each.pid for each in on.instances()}


async def test_output_is_capped(tmp_path: Path) -> None:
    """An instance that talks without end fills its file and one older one, and goes on talking."""
    async with stage(tmp_path) as on:
        await on.stable()
        log = on.folder.log_of("web-1-1")
        await on.tell("web-1-1", f"/shout?bytes={MOST_BYTES + 1}")
        older = log.with_name(f"{log.name}.1")

        async def is_capped() -> bool:
            return older.exists() and older.stat().st_size > MOST_BYTES and log.stat().st_size == 0

        await until(is_capped, what="the file is emptied")
        await on.tell("web-1-1", "/shout?bytes=5")
        assert log.read_bytes() == b"xxxxx\n"


def test_output_that_cannot_be_copied_is_dropped(tmp_path: Path) -> None:
    """When there is no room for the copy, what runs is worth more than what it said."""
    log = tmp_path / "log"
    log.write_bytes(b"x" * 100)
    (tmp_path / "log.1").mkdir()
    (tmp_path / "log.1" / "in the way").write_text("")
    cap(log, most_bytes=10)
    assert log.stat().st_size == 0


async def test_fifty_releases_in_a_row_leave_nothing_behind(tmp_path: Path) -> None:
    """No process, no open file of the supervisor and no file that is not bounded."""
    async with stage(tmp_path) as on:
        await on.stable()
        release = on.release("v2", {"web": web(drain_seconds=0.2)})
        supervisor = psutil.Process(on.supervisors[-1].pid)
        before = supervisor.num_fds()
        for _ in range(50):
            await on.put_ready(release)
            await on.platform.set_weight(on.permit, 50)
            await on.platform.remove(on.permit)
        await on.until_marks({"router", "web-1-1"})
        assert supervisor.num_fds() <= before + 2

        async def is_tidy() -> bool:
            return len(list(on.folder.logs.iterdir())) <= 12

        await until(is_tidy, what="old output is deleted")
        assert [path for path in on.folder.path.iterdir() if path.name.startswith(".")] == []
        listening = [each for each in supervisor.net_connections() if each.status == psutil.CONN_ESTABLISHED]
        assert len(listening) <= 2


async def crash(on: Stage, name: str) -> None:
    """Make an instance end at once; its answer never comes."""
    with pytest.raises(Unanswered):
        await on.tell(name, "/crash")
