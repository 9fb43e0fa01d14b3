"""The background server and worker, with a real Prefect: one of each, found again, and gone without a trace."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from deployments import server
from deployments.server import ServerAddress, ServerUnavailable, describe, ensure_server, start_worker, stop_all
from tasks.adapters import daemons

pytestmark = [pytest.mark.timeout(300), pytest.mark.server]


def until(condition: Callable[[], Any], *, seconds: float = 60.0) -> Any:
    """What the condition gives, once it gives something, within a deadline."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.02)
    return found


def ensure(state: Path, *, database: str | None = None) -> ServerAddress:
    return asyncio.run(ensure_server(state, database=database, on_progress=lambda _: None))


def is_alive(pid: int) -> bool:
    return bool(daemons.birth_of(pid))


@pytest.fixture(autouse=True)
def _no_named_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.fixture(scope="session")
def taken_port() -> Iterator[int]:
    """The port Towpath would take, held by somebody else."""
    with socket.socket() as holder:
        port = daemons.free_port(4200)
        # NOTE: the port may still be cooling down from a server that another test has ended.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        yield port


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory, taken_port: int) -> Iterator[Path]:
    """A state folder with a server that two callers asked for at the same time."""
    home = tmp_path_factory.mktemp("home")

    async def both() -> list[ServerAddress]:
        asked = [ensure_server(home, on_progress=progress.append) for _ in range(2)]
        return list(await asyncio.gather(*asked))

    progress: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        addresses = asyncio.run(both())
    (home / "started.json").write_text(json.dumps([address.api_url for address in addresses] + progress[:1]))
    yield home
    asyncio.run(stop_all(home))


def servers_of(state: Path) -> list[int]:
    """Every process whose environment names this state folder's Prefect."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("PREFECT_HOME") == str(state / "prefect"):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


class TestServer:
    def test_two_at_once(self, state: Path) -> None:
        """Two commands at once start one server and tell why it takes a while."""
        one, other, progress = json.loads((state / "started.json").read_text())

        assert one == other
        assert len(servers_of(state)) == 1
        assert progress == "starting the Prefect server (the first start creates its database)"

    def test_port_taken(self, state: Path, taken_port: int) -> None:
        """A port that is taken is left to its owner."""
        address = ensure(state)

        assert f":{taken_port}/" not in address.api_url
        assert address.is_ours
        assert f"{address.ui_url}/api" == address.api_url
        assert httpx.get(f"{address.api_url}/health", trust_env=False).status_code == 200

    def test_found_again_quickly(self, state: Path) -> None:
        """A running server is found again in less than 0.15 s."""
        fastest = 9.0
        for _ in range(5):
            start = time.perf_counter()
            ensure(state)
            fastest = min(fastest, time.perf_counter() - start)

        assert fastest < 0.15

    def test_other_database(self, state: Path) -> None:
        """Another database than the one it runs with is refused in one line, which does not show it."""
        with pytest.raises(ServerUnavailable, match="towpath down first") as caught:
            ensure(state, database="postgresql+asyncpg://u:hunter2@h/db")

        assert "hunter2" not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_private(self, state: Path) -> None:
        """What is recorded and logged is readable by this user only."""
        for name in ("server.json", "server.log"):
            assert stat.S_IMODE((state / "server" / name).stat().st_mode) & 0o077 == 0

    def test_killed(self, state: Path) -> None:
        """A server that was killed is noticed, and the next command starts a new one with what it knew."""
        before = asyncio.run(describe(state)).server
        assert before.is_running
        assert before.is_answering
        assert before.pid is not None
        psutil.Process(before.pid).kill()
        until(lambda: not is_alive(before.pid or 0))
        assert not asyncio.run(describe(state)).server.is_running
        ensure(state)
        after = asyncio.run(describe(state)).server

        assert after.is_answering
        assert after.pid != before.pid


class TestNamedServer:
    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:9/api", "nonsense", "http://user:hunter2@127.0.0.1:9/api", "http://[/api", ""]
    )
    def test_no_answer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        """A server the user named but that does not answer is refused in one line, and none is started beside it."""
        monkeypatch.setenv("PREFECT_API_URL", url or "http://")
        with pytest.raises(ServerUnavailable, match="PREFECT_API_URL") as caught:
            ensure(tmp_path)

        assert "\n" not in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert not (tmp_path / "server").exists()

    def test_answers(self, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server the user named is used as it is."""
        ours = ensure(state)
        monkeypatch.setenv("PREFECT_API_URL", f"{ours.api_url}/")

        assert ServerAddress(ours.api_url, ours.ui_url, is_ours=False) == ensure(tmp_path)


class TestStaleRecords:
    def test_number_of_another(self, tmp_path: Path) -> None:
        """A process that merely has the recorded number is neither taken for ours nor killed."""
        with psutil.Popen(["sleep", "60"]) as other:
            record = {
                "pid": other.pid,
                "birth": "before:1",
                "started": 1.0,
                "url": "http://127.0.0.1:1/api",
                "facts": {},
            }
            (tmp_path / "server").mkdir()
            for name in ("server.json", "worker.json"):
                (tmp_path / "server" / name).write_text(json.dumps(record))

            assert not asyncio.run(describe(tmp_path)).server.is_running
            assert asyncio.run(stop_all(tmp_path)) == (False, False)
            assert other.poll() is None
            other.kill()

    @pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"pid": "x"}'])
    def test_broken_record(self, tmp_path: Path, content: str) -> None:
        """A record that cannot be read is no server."""
        (tmp_path / "server").mkdir()
        (tmp_path / "server" / "server.json").write_text(content)

        assert not asyncio.run(describe(tmp_path)).server.is_running

    def test_down_twice(self, tmp_path: Path) -> None:
        """Ending what never ran is no error."""
        assert asyncio.run(stop_all(tmp_path)) == (False, False)
        assert asyncio.run(stop_all(tmp_path)) == (False, False)


def test_server_that_cannot_start(tmp_path: Path) -> None:
    """A server that ends at its start is told in one line with its log, and the password shows nowhere."""
    database = "postgresql+asyncpg://user:hunter2@127.0.0.1:9/db"
    with pytest.raises(ServerUnavailable, match=r"server\.log") as caught:
        ensure(tmp_path, database=database)

    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert servers_of(tmp_path) == []
    assert "hunter2" not in "".join(path.read_text() for path in (tmp_path / "server").iterdir())


FLOW = """
import asyncio, os
from pathlib import Path
from prefect import flow
from tasks.adapters.process import Command, run

@flow
async def probe(folder: str, seconds: int) -> None:
    script = "sleep 300 & echo $! >> pids; setsid sleep 300 & echo $! >> pids; echo $$ >> pids; sleep " + str(seconds)
    Path(folder, "engine").write_text(str(os.getpid()))
    tool = Command(argv=("sh", "-c", script), directory=Path(folder), log=Path(folder, "log"), timeout_seconds=60)
    done = await run(tool)
    Path(folder, "seen").write_text(" ".join([os.environ["TOWPATH_HOME"], os.environ["TOWPATH_ROOT"], done.ending]))
"""
PREFECT_YAML = """
name: probe
pull:
- prefect.deployments.steps.set_working_directory:
    directory: "{{ $TOWPATH_ROOT }}"
deployments:
- name: probe
  entrypoint: probe_flows.probe
  work_pool: {name: local}
"""


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project of deployments."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "probe_flows.py").write_text(FLOW)
    (folder / "prefect.yaml").write_text(PREFECT_YAML)
    return folder


class TestWorker:
    def start(self, state: Path, root: Path) -> int:
        asyncio.run(start_worker(state, ensure(state), root=root))
        worker = asyncio.run(describe(state)).worker
        assert worker.is_running
        assert worker.pid is not None
        return worker.pid

    def submit(self, state: Path, folder: Path, *, seconds: int) -> str:
        api = ensure(state).api_url
        deployment = httpx.get(f"{api}/deployments/name/probe/probe", trust_env=False).json()["id"]
        body = {"parameters": {"folder": str(folder), "seconds": seconds}, "state": {"type": "SCHEDULED"}}
        answer = httpx.post(f"{api}/deployments/{deployment}/create_flow_run", json=body, trust_env=False)
        return str(answer.raise_for_status().json()["id"])

    def test_runs_flows(self, state: Path, root: Path, tmp_path: Path) -> None:
        """A run created through the API is carried out by the worker, in the environment it is promised."""
        supervisor = self.start(state, root)
        assert supervisor == self.start(state, root)
        run = self.submit(state, tmp_path, seconds=0)

        seen = until(lambda: (tmp_path / "seen").exists() and (tmp_path / "seen").read_text())
        assert [str(state), str(root), "exited"] == seen.split()
        api = ensure(state).api_url
        until(lambda: httpx.get(f"{api}/flow_runs/{run}", trust_env=False).json()["state"]["type"] == "COMPLETED")

    def test_changed_deployments(self, state: Path, root: Path) -> None:
        """Deployments that changed are registered again, and the worker that runs stays."""
        before = self.start(state, root)
        (root / "prefect.yaml").write_text(PREFECT_YAML.replace("- name: probe", "- name: probe\n  description: new"))

        assert self.start(state, root) == before
        found = httpx.get(f"{ensure(state).api_url}/deployments/name/probe/probe", trust_env=False).json()
        assert found["description"] == "new"

    def test_killed_worker(self, state: Path, root: Path, tmp_path: Path) -> None:
        """A worker killed with -9 takes its flow runs, their tools and all their children with it within 2 s."""
        supervisor = psutil.Process(self.start(state, root))
        (worker,) = supervisor.children()
        self.submit(state, tmp_path, seconds=300)
        pids = until(
            lambda: (
                (tmp_path / "pids").exists() and len(words := (tmp_path / "pids").read_text().split()) == 3 and words
            )
        )
        pids = [int((tmp_path / "engine").read_text()), *map(int, pids)]
        os.kill(worker.pid, signal.SIGKILL)

        until(lambda: not any(map(is_alive, [supervisor.pid, *pids])), seconds=2.0)
        assert not asyncio.run(describe(state)).worker.is_running

    def test_deployments_that_cannot_be_registered(self, state: Path, tmp_path: Path) -> None:
        """A project without deployments is refused with the log."""
        with pytest.raises(ServerUnavailable, match=r"deploy\.log"):
            asyncio.run(start_worker(state, ensure(state), root=tmp_path))

    def test_down(self, state: Path, root: Path, tmp_path: Path) -> None:
        """Down ends server, worker, flow runs and tools, and may be said twice."""
        self.start(state, root)
        self.submit(state, tmp_path, seconds=300)
        pids = until(
            lambda: (
                (tmp_path / "pids").exists() and len(words := (tmp_path / "pids").read_text().split()) == 3 and words
            )
        )

        assert asyncio.run(stop_all(state)) == (True, True)
        assert servers_of(state) == []
        assert [pid for pid in map(int, pids) if is_alive(pid)] == []
        assert asyncio.run(stop_all(state)) == (False, False)
        assert sqlite3.connect(state / "prefect" / "prefect.db").execute("pragma integrity_check").fetchone()[0] == "ok"


def test_roots() -> None:
    """The project registered by default is this one."""
    assert (server.ROOT / "deployments" / "server.py").is_file()
