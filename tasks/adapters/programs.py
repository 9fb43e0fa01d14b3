"""Which program runs a check: the one the target locks, else the version Towpath pins, in a folder of its own.

The report names the origin, so that a reader knows whose version decided.
"""

import asyncio
import fcntl
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tasks.adapters.environments import Built, node_version_of, python_version_of
from tasks.adapters.installer import find_uv
from tasks.adapters.process import Command, Ending, Need, run
from tasks.adapters.state import write_atomically
from tasks.core.environments import EnvironmentKind
from tasks.core.installs import InstallTrouble, explain_install
from tasks.core.projects import Manager
from tasks.core.tools.contract import Ecosystem, Tool

_MODULES = {"pytest": "pytest"}


class ProgramMissing(Exception):
    """There is no such program here and Towpath could not bring it; `trouble` says why and what to do."""

    def __init__(self, trouble: InstallTrouble) -> None:
        super().__init__(trouble.reason)
        self.trouble = trouble


@dataclass(frozen=True)
class Program:
    """How to start a tool, and in which version; `folders` go in front of PATH while it runs."""

    argv: tuple[str, ...]
    version: str
    origin: str
    folders: tuple[Path, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.version} ({self.origin})" if self.version else self.origin


async def find_program(tool: Tool, built: Built | None, folder: Path, *, state: Path, log: Path) -> Program:
    """The program for a tool in a project's folder. Raises ProgramMissing."""
    if found := locked_program(tool, built, folder):
        return found
    if not tool.version:
        raise ProgramMissing(
            InstallTrouble(f"{tool.name} is not installed by the target", f"add {tool.package} to its dependencies")
        )
    match tool.ecosystem:
        case Ecosystem.PYTHON:
            return await _pinned_python(tool, state, log)
        case _:
            return await _pinned_node(tool, built, state, log)


def locked_program(tool: Tool, built: Built | None, folder: Path) -> Program | None:
    """The program in the target's own environment, or None."""
    if built is None:
        return None
    match built.kind:
        case EnvironmentKind.PYTHON:
            return _python_program(tool, built.folder, "from the target's environment")
        case EnvironmentKind.NODE:
            return _node_program(tool, folder, built.folder)


def _python_program(tool: Tool, venv: Path, origin: str) -> Program | None:
    version = python_version_of(venv, tool.package)
    binary = venv / "bin" / tool.name.removesuffix("-format")
    if not version or not binary.exists():
        return None
    module = _MODULES.get(tool.name)
    argv = (str(venv / "bin" / "python"), "-m", module) if module else (str(binary),)
    return Program(argv, version, origin, (venv / "bin",))


def _node_program(tool: Tool, folder: Path, root: Path) -> Program | None:
    folders = [folder, *folder.parents]
    for place in folders[: folders.index(root) + 1] if root in folders else folders[:1]:
        binary = place / "node_modules" / ".bin" / tool.name
        if binary.exists():
            version = node_version_of(place / "node_modules", tool.package)
            return Program((str(binary),), version, "from the target's lock", (binary.parent,))
    return None


async def _pinned_python(tool: Tool, state: Path, log: Path) -> Program:
    place = state / "tools" / f"{tool.package}-{tool.version}"
    uv = str(find_uv())
    steps = (
        (uv, "venv", "--no-project", "--clear", str(place)),
        (uv, "pip", "install", "--python", str(place), f"{tool.package}=={tool.version}"),
    )
    await install_once(place, steps, Manager.UV, log)
    found = _python_program(tool, place, "pinned by Towpath")
    assert found is not None, f"{tool.package} installs no {tool.name}"
    return found


async def _pinned_node(tool: Tool, built: Built | None, state: Path, log: Path) -> Program:
    place = state / "tools" / f"{re.sub('[^a-z]+', '-', tool.package).strip('-')}-{tool.version}"
    step = ("npm", "install", "--no-audit", "--no-fund", "--prefix", str(place), f"{tool.package}@{tool.version}")
    await install_once(place, (step,), Manager.NPM, log)
    found = _node_program(tool, place, place)
    assert found is not None, f"{tool.package} installs no {tool.name}"
    return Program(
        found.argv, found.version, "pinned by Towpath", (*found.folders, *([built.binaries] if built else []))
    )


async def install_once(place: Path, steps: tuple[tuple[str, ...], ...], manager: Manager, log: Path) -> None:
    """Install into a folder of its own unless that was done before. Raises ProgramMissing."""
    async with _locked(place):
        if (place / ".towpath-complete").exists():
            return
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for number, argv in enumerate(steps):
            part = log.with_suffix(f".install-{number}.log")
            command = Command(
                argv=argv,
                directory=place,
                log=part,
                timeout_seconds=600,
                needs=frozenset({Need.REGISTRY}),
                is_own=True,
            )
            completion = await run(command)
            if completion.ending is not Ending.EXITED or completion.exit_code:
                said = completion.head + completion.tail
                raise ProgramMissing(explain_install(manager, said, ending=completion.detail, log_path=str(part)))
        write_atomically(place / ".towpath-complete", "")


@asynccontextmanager
async def _locked(place: Path) -> AsyncIterator[None]:
    """Two runs that need the same tool at once install it once; the kernel frees the lock of a dead holder."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f".{place.name}.lock").open("w") as stream:
        while not _is_taken(stream):
            await asyncio.sleep(0.05)
        yield


def _is_taken(stream: IO[str]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
