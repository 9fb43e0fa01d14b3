"""The Prefect server and worker behind `towpath up`, `down` and `status`.

Starting a server costs seconds, so one is kept running in the background and every command finds it again. Two
commands at once start one server; a record of a process that is gone, or whose number belongs to another by now, is
noticed. What cannot be had is said in one line.

The address of a database may carry a password: it must never stand in an argument list, a log or a file others read.
Nothing here imports Prefect, which costs a second.
"""

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import available_timezones

from tasks.adapters import daemons, process
from tasks.adapters.daemons import Daemon
from tasks.adapters.git import mask
from tasks.adapters.locks import wait_for_lock
from tasks.adapters.process import Command, Ending, Need
from tasks.adapters.state import write_atomically

ROOT = Path(__file__).resolve().parents[1]
POOL = "local"
_PORT = 4200
_START_SECONDS = 90.0
_DEPLOY_SECONDS = 180.0
_POLL_SECONDS = 0.1
_PROGRESS_SECONDS = 5.0


class ServerUnavailable(Exception):
    """No server can be had; the text says why and what to do, in one line."""


@dataclass(frozen=True)
class ServerAddress:
    """Where a Prefect API answers; `is_ours` tells the one in the state folder from one the user named."""

    api_url: str
    ui_url: str
    is_ours: bool


@dataclass(frozen=True)
class DaemonStatus:
    """One background process, as it is now."""

    is_running: bool
    is_answering: bool
    pid: int | None
    since: datetime | None
    url: str
    log: Path


@dataclass(frozen=True)
class Status:
    """What `towpath up` keeps running."""

    server: DaemonStatus
    worker: DaemonStatus


@dataclass(frozen=True)
class _Places:
    """The files of one state folder."""

    state: Path

    @property
    def lock(self) -> Path:
        return self.state / "server" / "lock"

    @property
    def server(self) -> Path:
        return self.state / "server" / "server.json"

    @property
    def worker(self) -> Path:
        return self.state / "server" / "worker.json"

    @property
    def deployed(self) -> Path:
        return self.state / "server" / "deployed"

    def log(self, name: str) -> Path:
        return self.state / "server" / f"{name}.log"


async def ensure_server(
    state: Path, *, database: str | None = None, on_progress: Callable[[str], None]
) -> ServerAddress:
    """The server the user named in PREFECT_API_URL, else ours, started when it does not run."""
    if named := os.environ.get("PREFECT_API_URL"):
        return await _named_server(named.rstrip("/"))
    places = _Places(state.absolute())
    server = daemons.recorded(places.server)
    if server is not None and await daemons.answers(f"{server.url}/health"):
        return _accept(server, database)
    async with wait_for_lock(places.lock):
        server = daemons.recorded(places.server)
        if server is not None:
            _accept(server, database)
            if await _is_up(server, places, on_progress):
                return _accept(server, database)
            await daemons.stop(places.server)
        return _accept(await _start_server(places, database, on_progress), database)


async def _named_server(api_url: str) -> ServerAddress:
    status = await daemons.call("GET", f"{api_url}/health")
    if status != 200:
        said = f"answered {status}" if status else "does not answer"
        raise ServerUnavailable(f"PREFECT_API_URL={mask(api_url)} {said}: start that server, or unset PREFECT_API_URL")
    return ServerAddress(api_url, os.environ.get("PREFECT_UI_URL") or api_url.removesuffix("/api"), is_ours=False)


def _accept(server: Daemon, database: str | None) -> ServerAddress:
    """Ours, unless another database was asked for than it was started with."""
    if database is not None and server.facts.get("database") != _fingerprint(database):
        raise ServerUnavailable("the server runs with another database: run towpath down first, then towpath up again")
    return ServerAddress(server.url, server.url.removesuffix("/api"), is_ours=True)


def _fingerprint(database: str | None) -> str:
    return hashlib.sha256(database.encode()).hexdigest() if database else ""


async def _start_server(places: _Places, database: str | None, on_progress: Callable[[str], None]) -> Daemon:
    log, home = places.log("server"), places.state / "prefect"
    is_first = not home.exists()
    on_progress("starting the Prefect server" + (" (the first start creates its database)" if is_first else ""))
    preferred = _PORT
    while True:
        port = daemons.free_port(preferred)
        server = daemons.start(
            (sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)),
            record=places.server,
            log=log,
            directory=places.state / "server",
            environment=_server_environment(home, database),
            url=f"http://127.0.0.1:{port}/api",
            facts={"database": _fingerprint(database), "port": str(port)},
        )
        if await _is_up(server, places, on_progress):
            return server
        # NOTE: between the look for a free port and the server's own start somebody else may have taken it.
        if daemons.free_port(port) == port or daemons.listens(server, port):
            break
        await daemons.stop(places.server)
        preferred = port + 1
    why = "did not answer in time" if daemons.is_alive(server) else f"ended at its start ({_said(log, database)})"
    await daemons.stop(places.server)
    raise ServerUnavailable(f"the Prefect server {why}: see {log}")


def _said(log: Path, database: str | None) -> str:
    line = daemons.last_line(log)
    return line.replace(database, "***") if database else line


def _server_environment(home: Path, database: str | None) -> dict[str, str]:
    """What the tools see, and the user's own settings of the server; no token of any kind."""
    chosen = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_SERVER_")}
    own = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if database:
        own["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
    return process.clean_environment(needs=frozenset({Need.NETWORK}), extras=chosen | own)


async def _is_up(server: Daemon, places: _Places, on_progress: Callable[[str], None]) -> bool:
    """Wait for its first answer; False when it ended or took too long."""
    start = time.monotonic()
    told = 0.0
    while daemons.is_alive(server) and (waited := time.monotonic() - start) < _START_SECONDS:
        if await daemons.answers(f"{server.url}/health"):
            return daemons.listens(server, int(server.facts.get("port", "0")))
        if waited - told >= _PROGRESS_SECONDS:
            told = waited
            on_progress(f"waiting for the Prefect server ({waited:.0f} s, log: {places.log('server')})")
        await asyncio.sleep(_POLL_SECONDS)
    return False


async def start_worker(state: Path, address: ServerAddress, *, root: Path = ROOT) -> None:
    """Register every deployment of prefect.yaml, again when it changed, and run a worker for them if none does."""
    places = _Places(state.absolute())
    async with wait_for_lock(places.lock):
        wanted = f"{address.api_url} {_fingerprint_of(root / 'prefect.yaml')} {_time_zone()}"
        running = daemons.recorded(places.worker)
        if running is not None and running.url != address.api_url:
            await daemons.stop(places.worker)
            running = None
        if running is not None and places.deployed.exists() and places.deployed.read_text() == wanted:
            return
        status = await daemons.call(
            "POST", f"{address.api_url}/work_pools/", body={"name": POOL, "type": "process", "base_job_template": {}}
        )
        if status not in (200, 201, 409):
            raise ServerUnavailable(f"{mask(address.api_url)} would not create the work pool {POOL} (answer {status})")
        environment = _worker_environment(places.state, address, root)
        await _deploy(places, environment, root)
        write_atomically(places.deployed, wanted, mode=0o600)
        if running is not None:
            return
        daemons.start(
            (
                *(sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL),
                *("--type", "process", "--name", "towpath"),
            ),
            record=places.worker,
            log=places.log("worker"),
            directory=root,
            environment=environment,
            url=address.api_url,
            facts={},
            is_supervised=True,
        )


def _fingerprint_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def _time_zone() -> str:
    """The zone that was chosen, else UTC. Raises ServerUnavailable for one that is not known."""
    zone = os.environ.get("TOWPATH_TIMEZONE") or "UTC"
    if zone not in available_timezones():
        raise ServerUnavailable(f"TOWPATH_TIMEZONE: there is no time zone {zone}: name one like Europe/Berlin, or UTC")
    return zone


def _worker_environment(state: Path, address: ServerAddress, root: Path) -> dict[str, str]:
    """The user's own, since flows hand each tool only what it needs, without what a git hook would leave in it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # NOTE: last, so that tools and interpreters are those that the command line finds, and results are shared with it.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    return inherited | {
        "PATH": path,
        "PREFECT_API_URL": address.api_url,
        # NOTE: prefect.yaml names no pool, so that the same file serves a cluster's.
        "PREFECT_DEFAULT_WORK_POOL_NAME": POOL,
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_LOCAL_STORAGE_PATH": str(state / "results" / "trusted"),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PYTHONUNBUFFERED": "1",
        "TOWPATH_HOME": str(state),
        "TOWPATH_ROOT": str(root),
        # NOTE: when it is night is told by the schedules of prefect.yaml, in this zone.
        "TOWPATH_TIMEZONE": _time_zone(),
    }


async def _deploy(places: _Places, environment: dict[str, str], root: Path) -> None:
    log = places.log("deploy")
    done = await process.run(
        Command(
            argv=(sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"),
            directory=root,
            log=log,
            timeout_seconds=_DEPLOY_SECONDS,
            environment=environment,
        )
    )
    if done.ending is not Ending.EXITED or done.exit_code != 0:
        said = done.detail or daemons.last_line(log)
        raise ServerUnavailable(f"the deployments of prefect.yaml could not be registered ({said}): see {log}")


async def stop_all(state: Path) -> tuple[bool, bool]:
    """End worker and server with all their children; whether each of the two was running."""
    places = _Places(state.absolute())
    async with wait_for_lock(places.lock):
        worker = await daemons.stop(places.worker)
        return await daemons.stop(places.server), worker


async def describe(state: Path) -> Status:
    """What runs now, without starting anything."""
    places = _Places(state.absolute())
    server, worker = daemons.recorded(places.server), daemons.recorded(places.worker)
    is_answering = server is not None and await daemons.answers(f"{server.url}/health")
    return Status(
        _status(server, places.log("server"), is_answering=is_answering),
        _status(worker, places.log("worker"), is_answering=worker is not None),
    )


def _status(daemon: Daemon | None, log: Path, *, is_answering: bool) -> DaemonStatus:
    if daemon is None:
        return DaemonStatus(is_running=False, is_answering=False, pid=None, since=None, url="", log=log)
    return DaemonStatus(
        is_running=True,
        is_answering=is_answering,
        pid=daemon.pid,
        since=daemons.since(daemon),
        url=daemon.url,
        log=log,
    )
