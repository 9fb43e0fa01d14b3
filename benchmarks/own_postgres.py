"""A PostgreSQL of a measurement's own: made in a temporary folder from this machine's programs, and gone with it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _program(name: str) -> str:
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(beside[-1]) if beside else shutil.which(name)
    assert found, f"PostgreSQL's {name} is not on this machine: install the package postgresql"
    return found


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A cluster of its own; it will not run as root, so there it runs as the user postgres."""
    user = "postgres" if os.geteuid() == 0 else None
    data = folder / "cluster"
    data.mkdir(parents=True)
    if user:
        shutil.chown(data, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = [_program("initdb"), "--auth=trust", "--username=towpath", "--pgdata", str(data)]
    subprocess.run(made, user=user, check=True, stdout=subprocess.DEVNULL, cwd="/")
    started = [
        _program("postgres"),
        "-D",
        str(data),
        "-p",
        str(port),
        "-k",
        str(data),
        "-c",
        "listen_addresses=127.0.0.1",
    ]
    log = (folder / "postgres.log").open("wb")
    with log, subprocess.Popen(started, user=user, stdout=log, stderr=log, cwd="/") as running:
        try:
            ready = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
            deadline = time.monotonic() + 60
            while subprocess.run(ready, check=False).returncode:
                assert running.poll() is None, (folder / "postgres.log").read_text()
                assert time.monotonic() < deadline, "PostgreSQL did not start"
                time.sleep(0.1)
            # NOTE: the database that initdb makes will do; nobody else is in this cluster.
            yield f"postgresql+asyncpg://towpath@127.0.0.1:{port}/postgres"
        finally:
            running.terminate()
            running.wait()
