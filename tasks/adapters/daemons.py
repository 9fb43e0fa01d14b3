"""Programs that stay when Towpath leaves: started detached, recorded, found again and ended.

A daemon is known by its process id together with the moment of its birth, so that a number the kernel has given to
somebody else is never taken for it, and never killed. What is recorded is readable by this user only, and holds no
address of a database, which may carry a password.

The HTTP spoken to Prefect's API outside of flows is here too, since importing Prefect for it would cost a second.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tasks.adapters.state import write_atomically

_LIFELINE = Path(__file__).with_name("lifeline.py")
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.05
# Popen objects of this process, kept so that a dead child is collected and not seen as a zombie.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Daemon:
    """One program that was started; `birth` tells it from a later one with the same id."""

    pid: int
    birth: str
    started: float
    url: str
    facts: Mapping[str, str]


def birth_of(pid: int) -> str:
    """When this process was born, in a form that no change of the clock alters; empty when it is gone."""
    if (child := _children.get(pid)) is not None and child.poll() is not None:
        return ""
    if not sys.platform.startswith("linux"):
        return _birth_elsewhere(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else f"{boot}:{fields[19].decode()}"


def _birth_elsewhere(pid: int) -> str:
    import psutil

    with suppress(psutil.Error):
        found = psutil.Process(pid)
        return "" if found.status() == psutil.STATUS_ZOMBIE else f"{found.create_time():.2f}"
    return ""


def is_alive(daemon: Daemon) -> bool:
    return bool(daemon.birth) and birth_of(daemon.pid) == daemon.birth


def since(daemon: Daemon) -> datetime:
    return datetime.fromtimestamp(daemon.started, UTC)


def recorded(record: Path) -> Daemon | None:
    """The daemon this file tells of, if it still lives."""
    try:
        read = json.loads(record.read_bytes())
        facts = {str(name): str(value) for name, value in read["facts"].items()}
        daemon = Daemon(int(read["pid"]), str(read["birth"]), float(read["started"]), str(read["url"]), facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return daemon if is_alive(daemon) else None


def launched(
    argv: tuple[str, ...], *, directory: Path, environment: Mapping[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    """A program in a session of its own that appends to its log and outlives this process. Raises OSError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            argv,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def start(
    argv: tuple[str, ...],
    *,
    record: Path,
    log: Path,
    directory: Path,
    environment: Mapping[str, str],
    url: str,
    facts: Mapping[str, str],
    is_supervised: bool = False,
) -> Daemon:
    """Start it in a session of its own and record it; a supervised one takes what it started with it when it dies."""
    supervisor = (sys.executable, "-S", "-E", "-I", str(_LIFELINE), "daemon", str(_GRACE_SECONDS))
    for folder in {record.parent, directory}:
        folder.mkdir(parents=True, exist_ok=True)
    child = launched(
        (*supervisor, *argv) if is_supervised else argv, directory=directory, environment=environment, log=log
    )
    _children[child.pid] = child
    daemon = Daemon(child.pid, birth_of(child.pid), time.time(), url, facts)
    write_atomically(record, json.dumps(asdict(daemon)), mode=0o600)
    return daemon


async def stop(record: Path) -> bool:
    """End the daemon and all its children; whether there was one. Whatever is dead already is no matter."""
    daemon = recorded(record)
    if daemon is not None:
        family = {daemon.pid: daemon.birth} | _births(_descendants(daemon.pid))
        _send(signal.SIGTERM, {daemon.pid: daemon.birth})
        await _until_gone({daemon.pid: daemon.birth}, seconds=_GRACE_SECONDS + 1)
        family |= _births([child for pid in family for child in _descendants(pid)])
        _send(signal.SIGKILL, family)
        await _until_gone(family, seconds=_GRACE_SECONDS)
    record.unlink(missing_ok=True)
    return daemon is not None


def _descendants(pid: int) -> list[int]:
    import psutil

    with suppress(psutil.Error):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []


def _births(pids: list[int]) -> dict[int, str]:
    return {pid: birth for pid in pids if (birth := birth_of(pid))}


def _send(number: signal.Signals, family: Mapping[int, str]) -> None:
    for pid, birth in family.items():
        if birth and birth_of(pid) == birth:
            with suppress(OSError):
                os.kill(pid, number)


async def _until_gone(family: Mapping[int, str], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(birth and birth_of(pid) == birth for pid, birth in family.items()) and time.monotonic() < deadline:
        # NOTE: nobody tells of the end of a process that is another's child.
        await asyncio.sleep(_POLL_SECONDS)


def free_port(preferred: int) -> int:
    """The preferred port of this machine's own address, or the next one that nobody listens on."""
    for port in range(preferred, min(preferred + 200, 65536)):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no free port between {preferred} and {preferred + 199}")


def listens(daemon: Daemon, port: int) -> bool:
    """Whether it is this very process that answers on the port, and not another that was faster."""
    import psutil

    with suppress(psutil.Error):
        found = psutil.Process(daemon.pid).net_connections(kind="tcp")
        return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in found)
    return False


async def answers(url: str, *, seconds: float = 2.0) -> bool:
    """Whether a plain HTTP GET on this machine comes back with 200; cheap, so that every command can afford it."""
    parts = urlsplit(url)
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
            try:
                writer.write(f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
                return (await reader.readline()).split()[1:2] == [b"200"]
            finally:
                writer.close()
    return False


async def call(method: str, url: str, *, body: Mapping[str, Any] | None = None, seconds: float = 15.0) -> int:
    """The status of a call to an API anywhere, with the user's credentials for Prefect; 0 when nobody answers."""
    import httpx

    headers, credentials = {}, None
    if key := os.environ.get("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    if pair := os.environ.get("PREFECT_API_AUTH_STRING"):
        user, _, password = pair.partition(":")
        credentials = httpx.BasicAuth(user, password)
    try:
        is_here = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        async with httpx.AsyncClient(
            headers=headers, auth=credentials, trust_env=not is_here, timeout=seconds
        ) as client:
            return (await client.request(method, url, json=body)).status_code
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return 0


def last_line(log: Path) -> str:
    """The last thing a daemon said, on one line."""
    with suppress(OSError), log.open("rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - 8192))
        lines = [line.strip() for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""
    return ""
