"""The control groups that hold every pod and build of the lab, and nothing else.

It promises that whatever runs in them can be found and ended, whoever started it and whatever died in between.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_END_SECONDS = 10.0


def make_groups(name: str) -> None:
    for hierarchy in hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for inherited in ("cpuset.cpus", "cpuset.mems"):
            file = group / inherited
            # In version 1 a new group has no processor and no memory until it is told.
            if file.exists() and not file.read_text().strip():
                file.write_text((hierarchy / inherited).read_text())
        if (hierarchy / "cgroup.controllers").exists() and not is_version_1():
            wanted = (hierarchy / "cgroup.controllers").read_text().split()
            (hierarchy / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))


def remove_groups(name: str) -> None:
    """End every process in them, then remove them from the leaves up."""
    deadline = time.monotonic() + _END_SECONDS
    while pids := set(members(name)):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)
    for hierarchy in hierarchies():
        folders = [Path(folder) for folder, _, _ in os.walk(hierarchy / name, topdown=False)]
        for folder in folders:
            with suppress(OSError):
                folder.rmdir()


def members(name: str) -> Iterator[int]:
    for hierarchy in hierarchies():
        for folder, _, files in os.walk(hierarchy / name):
            if "cgroup.procs" in files:
                with suppress(OSError):
                    yield from map(int, Path(folder, "cgroup.procs").read_text().split())


def is_version_1() -> bool:
    return not (_ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The mounted trees: one in version 2, one per controller in version 1, without names that link to another."""
    if not is_version_1():
        return [_ROOT]
    mounted = (line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines())
    return [
        Path(folder) for folder, kind in mounted if kind in ("cgroup", "cgroup2") and Path(folder).is_relative_to(_ROOT)
    ]
