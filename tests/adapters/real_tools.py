"""Real tools, machines and networks in bad shape, for the tests of the adapters."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tasks.adapters.examination import Examination
from tasks.adapters.programs import Program
from tasks.core.catalogue import TOOLS
from tasks.core.tools.contract import Invocation

_MEMORY_GROUPS = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)


def shell_as(tool: str, script: str, folder: Path, *, timeout_seconds: float = 20.0) -> Examination:
    """An examination by a tool of the catalogue whose program is a shell script; the tool's arguments are $@."""
    (folder / "tree").mkdir(exist_ok=True)
    return Examination(
        tool=TOOLS[tool],
        program=Program(("sh", "-c", script, tool), "", "", ()),
        invocation=Invocation(
            directory=str(folder / "tree"), caches=str(folder / "caches"), scratch=str(folder / "scratch")
        ),
        log=folder / "log",
        timeout_seconds=timeout_seconds,
        max_output_bytes=1 << 20,
    )


def python_word() -> str:
    return f"'{sys.executable}'"


@contextmanager
def small_disk(place: Path, *, size: str = "128k") -> Iterator[Path]:
    """A file system of almost no size, where this user may mount one."""
    place.mkdir(exist_ok=True)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "towpath", place]).returncode:
        pytest.skip("only root may mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def little_memory(name: str, *, limit: int) -> Iterator[Path]:
    """A memory group whose members the kernel kills above the limit; a process joins by its `cgroup.procs`."""
    for base, limiter in _MEMORY_GROUPS:
        group = base / name
        with suppress(OSError):
            group.mkdir()
            try:
                (group / limiter).write_text(str(limit))
                with suppress(OSError):
                    (group / "memory.swap.max").write_text("0")
                yield group / "cgroup.procs"
            finally:
                group.rmdir()
            return
    pytest.skip("this user may not make a memory group")


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def closed_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
