"""An OCI registry on loopback: Debian's docker-registry, on a port and a folder of its own.

It solves that what pulls from a registry must be tried against one. It promises an empty registry for the length of a
test. It must never touch the registry a user runs, and never passes silently: without one it raises LabMissingError.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import httpx

from tests.lab.engine import LabMissingError

_START_SECONDS = 20.0
_APT_SECONDS = 300.0


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """The address, host:port, of a registry that keeps its content in this folder."""
    program = _program()
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    (folder / "config.yml").write_text(_settings(folder, port))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        _wait_for(process, port, folder / "log")
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


def _settings(folder: Path, port: int) -> str:
    return f"""version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {folder}/content}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def _program() -> str:
    if found := shutil.which("docker-registry"):
        return found
    if os.geteuid() or not shutil.which("apt-get"):
        raise LabMissingError("docker-registry is not here, and only root on Debian may install it")
    done = subprocess.run(
        ["apt-get", "install", "--yes", "--no-install-recommends", "docker-registry"],
        capture_output=True,
        text=True,
        timeout=_APT_SECONDS,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        check=False,
    )
    if not (found := shutil.which("docker-registry")):
        raise LabMissingError(f"apt-get could not install docker-registry: {done.stderr.strip()[-300:]}")
    return found


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    transport = httpx.HTTPTransport(retries=8)
    end = monotonic() + _START_SECONDS
    with httpx.Client(transport=transport, timeout=1.0) as client:
        while monotonic() < end and process.poll() is None:
            try:
                client.get(f"http://127.0.0.1:{port}/v2/").raise_for_status()
            except httpx.HTTPError:
                continue
            return
    raise LabMissingError(f"docker-registry did not start: {log.read_text()[-300:]}")
