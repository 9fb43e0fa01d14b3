"""Running a program that is not trusted: what it can see, what it can reach, how much it can take.

A scanner reads files that an attacker may have written, and what those files make it do must not matter: it sees only
the folders it is given, read-only but for its own scratch room, has no network unless declared, none of the user's
variables, and bounds on memory, processes, files and time. Where the machine lacks the means, what could not be
enforced is named, so that a reader knows how much the result was protected.

bubblewrap makes the room (the recipe was tried as root and as nobody); memory and processes are held by control groups
where they may be made, and memory by RLIMIT_DATA everywhere.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

from tasks.adapters.process import Bounds

_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM_FILES = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/ssl",
)
_NETWORK_FILES = ("/etc/hosts", "/etc/resolv.conf", "/etc/services")
_TEMPORARY_BYTES = 1 << 30
_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a program sees: places inside mapped to the real ones, the first only to be read, the second its own."""

    readable: Mapping[str, Path] = field(default_factory=dict)
    writable: Mapping[str, Path] = field(default_factory=dict)
    has_network: bool = False


@dataclass(frozen=True, kw_only=True)
class Most:
    """How much a program may take."""

    memory_bytes: int
    processes: int
    cpu_seconds: int
    file_bytes: int


@dataclass(frozen=True)
class Means:
    """What this machine can enforce, and what it lacks, in words."""

    bubblewrap: str
    groups: tuple[str, ...]
    missing: tuple[str, ...]


@lru_cache(maxsize=1)
def means() -> Means:
    """Looked for once per process, by trying."""
    bubblewrap = _working_bubblewrap()
    groups = tuple(kind for kind in ("memory", "pids") if _can_group(kind))
    missing = [] if bubblewrap else ["isolation of files and network (bubblewrap is missing or may not be used)"]
    if "memory" not in groups:
        missing.append("a bound on the memory of all its processes together (no control group may be made)")
    if "pids" not in groups:
        missing.append("a bound on its processes (no control group may be made)")
    return Means(bubblewrap, groups, tuple(missing))


def _working_bubblewrap() -> str:
    found = shutil.which("bwrap") or ""
    if not found:
        return ""
    room = (found, "--unshare-all", "--ro-bind", "/", "/", "true")
    try:
        tried = subprocess.run(room, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if tried.returncode else found


def _can_group(kind: str) -> bool:
    with suppress(OSError):
        place = _group_base(kind) / f"towpath-{os.getpid()}-try-{uuid4().hex[:8]}"
        place.mkdir()
        is_there = (place / _bound_file(kind)).exists()
        place.rmdir()
        return is_there
    return False


def _group_base(kind: str) -> Path:
    """Version 1 has a tree for each kind, version 2 one for all."""
    return _GROUPS / kind if (_GROUPS / kind / "cgroup.procs").exists() else _GROUPS


def _bound_file(kind: str) -> str:
    if kind == "pids":
        return "pids.max"
    return "memory.limit_in_bytes" if _group_base(kind) != _GROUPS else "memory.max"


@contextmanager
def bounded(most: Most) -> Iterator[Bounds]:
    """Bounds for one command, their control groups removed at the end. Groups of the dead are removed too."""
    made: list[Path] = []
    try:
        for kind in means().groups:
            with suppress(OSError):
                made.append(_make_group(kind, most))
        groups = tuple(dict.fromkeys(str(place / "cgroup.procs") for place in made))
        yield Bounds(groups=groups, limits=_limits(most))
    finally:
        for place in made:
            with suppress(OSError):
                place.rmdir()


def _limits(most: Most) -> dict[str, int]:
    # NOTE: not RLIMIT_AS: node and Go reserve far more address space than they ever touch.
    return {
        "RLIMIT_DATA": most.memory_bytes,
        "RLIMIT_CPU": most.cpu_seconds,
        "RLIMIT_FSIZE": most.file_bytes,
        "RLIMIT_CORE": 0,
    }


def _make_group(kind: str, most: Most) -> Path:
    base = _group_base(kind)
    _sweep_groups(base)
    place = base / f"towpath-{os.getpid()}-{uuid4().hex[:8]}"
    place.mkdir()
    value = most.processes if kind == "pids" else most.memory_bytes
    (place / _bound_file(kind)).write_text(str(value))
    return place


def _sweep_groups(base: Path) -> None:
    """A run that was killed leaves its groups; one with a process in it cannot be removed and stays."""
    for place in base.glob("towpath-*-*"):
        owner = place.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists():
            with suppress(OSError):
                place.rmdir()


def confined(argv: tuple[str, ...], room: Room, *, directory: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """The command that runs `argv` in the room, in a folder of it, with these variables and no other."""
    words = [means().bubblewrap, "--unshare-all", *(("--share-net",) if room.has_network else ())]
    words += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
    words += [part for name, value in variables.items() for part in ("--setenv", name, value)]
    words += _system(has_network=room.has_network)
    for inside, outside in room.readable.items():
        words += ["--ro-bind", str(outside), inside]
    for inside, outside in room.writable.items():
        words += ["--bind", str(outside), inside]
    return (*words, "--chdir", directory, "--", *argv)


def entered(
    argv: tuple[str, ...], room: Room, *, directory: str, variables: Mapping[str, str]
) -> tuple[tuple[str, ...], Path, dict[str, str]]:
    """Command line, working folder and variables for the room; translated where no room can be made."""
    if means().bubblewrap:
        # NOTE: bubblewrap clears what it is given, so that nothing reaches the program but these.
        return confined(argv, room, directory=directory, variables=variables), Path("/"), {}
    plain = {name: translated(value, room) for name, value in variables.items()}
    return tuple(translated(word, room) for word in argv), Path(translated(directory, room)), plain


def _system(*, has_network: bool) -> list[str]:
    words = ["--ro-bind", "/usr", "/usr"]
    for place in _SYSTEM:
        path = Path(place)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), place]
        elif path.exists():
            words += ["--ro-bind", place, place]
    for place in (*_SYSTEM_FILES, *(_NETWORK_FILES if has_network else ())):
        if Path(place).exists():
            words += ["--ro-bind", str(Path(place).resolve()), place]
    words += ["--proc", "/proc", "--dev", "/dev", "--size", str(_TEMPORARY_BYTES), "--tmpfs", "/tmp"]  # noqa: S108
    return words


def translated(text: str, room: Room) -> str:
    """A word of a command line with the real places instead of those inside, for a machine without bubblewrap."""
    for inside, outside in sorted({**room.readable, **room.writable}.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(inside, str(outside)) if text.startswith(inside) or f"={inside}" in text else text
    return text
