"""The lab's long-running programs: started once, found again, stopped for certain.

It solves that a pid says little: after a crash or a reboot it may be another program's. A daemon is known by its pid,
the moment the kernel started it and the boot. It must never signal a process that it did not start.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.lab.cluster.places import Places
from tests.lab.engine import LabMissingError

START_SECONDS = 90.0
# Some wait for one another while they stop; what they hold is thrown away in any case.
STOP_SECONDS = 3.0


def ensure(
    places: Places,
    name: str,
    argv: Sequence[str | Path],
    until: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> bool:
    """Start a daemon unless it runs, wait until it is of use, and say whether it was started now."""
    if is_running(places, name):
        wait(places, name, until)
        return False
    for folder in (places.logs, places.pids):
        folder.mkdir(parents=True, exist_ok=True)
    log = places.logs / f"{name}.log"
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            list(map(str, argv)),
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    (places.pids / name).write_text(f"{daemon.pid} {identity(daemon.pid)}")
    try:
        wait(places, name, until, daemon)
    finally:
        # It is meant to outlive us: no warning that nobody waited for it.
        daemon.returncode = 0
    return True


def wait(places: Places, name: str, until: Callable[[], bool], daemon: "subprocess.Popen[bytes] | None" = None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not until():
        if (daemon and daemon.poll() is not None) or time.monotonic() > deadline:
            last = " / ".join((places.logs / f"{name}.log").read_text(errors="replace").strip().splitlines()[-3:])
            raise LabMissingError(f"the lab's {name} does not start here: {last}")
        time.sleep(0.05)


def accepts(path: Path) -> bool:
    """Whether somebody listens on that socket: a killed daemon's stays where it was."""
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.connect(str(path))
        return True
    return False


def identity(pid: int) -> str:
    """What tells this process from a later one of the same pid; empty when it is gone or dead."""
    with suppress(OSError, IndexError):
        # NOTE: the second field, the program's name in brackets, may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] not in "ZX":
            return f"{fields[19]} {boot()}"
    return ""


def boot() -> str:
    """What tells one start of the machine from another."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def process(places: Places, name: str) -> int | None:
    """The pid of this daemon when it is still the one we started."""
    with suppress(OSError, ValueError):
        pid, _, started = (places.pids / name).read_text().partition(" ")
        if started and identity(int(pid)) == started:
            return int(pid)
    return None


def is_running(places: Places, name: str) -> bool:
    return process(places, name) is not None


def stop(places: Places, *names: str) -> None:
    """Ask all of them to stop, wait, then kill what is left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for name in names:
            send(places, name, number)
        deadline = time.monotonic() + STOP_SECONDS
        while any(is_running(places, name) for name in names) and time.monotonic() < deadline:
            time.sleep(0.05)
    for name in names:
        (places.pids / name).unlink(missing_ok=True)


def send(places: Places, name: str, number: signal.Signals) -> None:
    if pid := process(places, name):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
