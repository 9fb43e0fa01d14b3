"""A room for whatever a stranger's change makes our tools do: tests, builds, installs, configuration that is code.

While a seal is set, every program of a run is started in a room: it sees the system, our programs and its own slot; it
has processes and a network of its own (installs reach registries, through a proxy, and nothing else), a home that is
empty but for addresses of registries, and no variable or line of configuration that could hold a secret. What it writes
stays in its slot.

It must never let a program out because a room cannot be made: the run is then refused.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.adapters.allowed_variables import clean_environment, is_secret
from tasks.adapters.confinement import Room, confined, means
from tasks.adapters.process import Command, Need, starting_through
from tasks.adapters.scratch import scratch_folder
from tasks.adapters.state import write_atomically
from tasks.adapters.way_out import way_out
from tasks.core.registries import PUBLIC, Address, registries_in, registries_named

_HOME = "/home/towpath"
_HOSTS = ".towpath-hosts"
_WAY_OUT = "/run/towpath-way-out"
_WAY_IN = Path(__file__).with_name("way_in.py")
_OURS = Path(__file__).resolve().parents[2]
_CONFIGURATIONS = (".npmrc", ".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml", ".yarnrc.yml")
# Where version managers keep what the programs on a path hand over to; none keeps credentials there.
_MANAGERS = (".pyenv", ".nvm/versions", ".asdf", ".volta", ".rustup", ".local/share/uv/python", ".local/share/mise")
# A proxy that is named in a file would be asked instead of the way out.
_SECRET_LINE = re.compile(r"(_auth|token|password|passwd|secret|username|credential|key|proxy)", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=//)[^/\s@]+@")
# Who runs inside is looked up by programs that would not start otherwise.
_NAMES = ("/etc/passwd", "/etc/group")


class SealMissing(Exception):
    """No room can be made on this machine; the text is one line with the way out."""


@dataclass(frozen=True, kw_only=True)
class Seal:
    """What is kept for a run's programs: folders they may read, folders they may write, and an empty home.

    `scratch` takes the way out while there are rooms.
    """

    readable: tuple[Path, ...]
    writable: tuple[Path, ...]
    home: Path
    scratch: Path


@contextmanager
def sealed(seal: Seal) -> Iterator[None]:
    """Every program that this run starts until the context ends is started in a room. Raises SealMissing."""
    if not means().bubblewrap:
        raise SealMissing(
            "a stranger's change runs in a room of its own or not at all: install bubblewrap on the worker's machine,"
            " or give such runs a work pool of containers"
        )
    _furnish(seal.home)
    with (
        scratch_folder(seal.scratch) as place,
        way_out(place, registries_of_machine()) as way,
        starting_through(lambda command: in_room(command, seal, way)),
    ):
        yield


def registries_of_machine() -> frozenset[Address]:
    """The public ones, what this user's package managers are configured with, and TOWPATH_REGISTRIES."""
    files = (Path.home() / name for name in _CONFIGURATIONS)
    texts = [file.read_text("utf-8", "replace") for file in files if file.is_file()]
    given = clean_environment(needs=frozenset({Need.REGISTRY}), extras={})
    texts += [f"{name}={value}" for name, value in given.items()]
    return PUBLIC | registries_in(texts) | registries_named(os.environ.get("TOWPATH_REGISTRIES", ""))


def in_room(command: Command, seal: Seal, way: Path) -> Command:
    """The same command from inside; what is our own and runs nothing of the target's stays as it is."""
    if command.is_own:
        return command
    may_leave = Need.REGISTRY in command.needs
    room = Room(
        readable={str(place): place for place in _readable(seal, command)}
        | {"/etc/hosts": seal.home / _HOSTS}
        | ({_WAY_OUT: way} if may_leave else {}),
        writable={str(place): place for place in (*seal.writable, *command.writes)} | {_HOME: seal.home},
    )
    through = (sys.executable, "-S", "-E", "-I", str(_WAY_IN), _WAY_OUT) if may_leave else ()
    return replace(
        command,
        argv=confined((*through, *command.argv), room, directory=str(command.directory), variables=_variables(command)),
        directory=Path("/"),
        environment={},
        needs=frozenset(),
    )


def _readable(seal: Seal, command: Command) -> Iterable[Path]:
    """Interpreters and programs, ours and those on the tool's path, but nothing that would show a whole home."""
    home = Path.home()
    path = command.environment.get("PATH") or os.environ.get("PATH", os.defpath)
    managed = (home / place for place in _MANAGERS)
    listed = (Path(sys.prefix), Path(sys.base_prefix), *map(Path, path.split(os.pathsep)), *managed)
    for place in (*_packages(), *seal.readable, *listed, *map(Path, _NAMES)):
        if place.is_absolute() and place.exists() and not home.is_relative_to(place) and not _is_system(place):
            yield place


def _packages() -> Iterable[Path]:
    return (_OURS / name for name in ("tasks", "flows", "deployments"))


def _is_system(place: Path) -> bool:
    return any(place.is_relative_to(known) for known in ("/usr", "/bin", "/sbin", "/lib", "/proc", "/dev", "/sys"))


def _variables(command: Command) -> Mapping[str, str]:
    given = clean_environment(needs=command.needs, extras=command.environment)
    kept = {name: _CREDENTIALS.sub("", value) for name, value in given.items() if not is_secret(name)}
    return {**kept, "HOME": _HOME, "TMPDIR": "/tmp", "XDG_CACHE_HOME": f"{_HOME}/.cache"}  # noqa: S108  (its own)


def _furnish(home: Path) -> None:
    """A home with the addresses of the user's registries, and none of the user's credentials."""
    home.mkdir(parents=True, exist_ok=True)
    write_atomically(home / _HOSTS, "127.0.0.1 localhost\n::1 localhost\n")
    for name in _CONFIGURATIONS:
        with_secrets = Path.home() / name
        if with_secrets.is_file():
            write_atomically(home / name, without_credentials(with_secrets.read_text("utf-8", "replace")))


def without_credentials(text: str) -> str:
    """A configuration file without the lines that may hold a secret, and without the user before a host's name."""
    kept = (line for line in text.splitlines() if not _SECRET_LINE.search(line.partition("=")[0].partition(": ")[0]))
    return "".join(f"{_CREDENTIALS.sub('', line)}\n" for line in kept)
