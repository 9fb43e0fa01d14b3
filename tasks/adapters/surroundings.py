"""What this machine offers: programs and their versions, the container engine, the registries, room on the disk."""

import asyncio
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tasks.adapters.images import EngineMissing, find_engine
from tasks.adapters.installer import find_uv
from tasks.adapters.process import Command, Completion, Ending, Need, run
from tasks.core.tools.contract import first_lines

_TIGHT_BYTES = 2 << 30


@dataclass(frozen=True)
class Finding:
    """One thing looked for: whether it is well, what was found, and what to do when it is not."""

    name: str
    said: str
    is_well: bool
    is_required: bool = False
    remedy: str = ""


async def look_around(state: Path, *, asks_registries: bool) -> list[Finding]:
    """Everything, in the order a reader would want it."""
    with tempfile.TemporaryDirectory(prefix="towpath-doctor-") as folder:
        place = Path(folder)
        programs = [
            _version(place, "git", ("git", "--version"), required=True, remedy="install git"),
            _version(place, "uv", (str(find_uv()), "--version"), required=True, remedy="run make install"),
            _version(place, "node", ("node", "--version"), remedy="frontend checks need Node 20 or newer"),
            _version(place, "npm", ("npm", "--version"), remedy="frontend checks need npm"),
            _pythons(place),
            _engine(place),
        ]
        asked = [_python_registry(place), _node_registry(place)] if asks_registries else []
        found = await asyncio.gather(*programs, *asked)
    python = Finding("python", f"{platform.python_version()} ({platform.machine()})", is_well=True, is_required=True)
    return [python, *found, _disk(state)]


async def _answer(place: Path, name: str, argv: tuple[str, ...], *, seconds: float = 15) -> Completion:
    needs = frozenset({Need.REGISTRY})
    return await run(
        Command(argv=argv, directory=place, log=place / f"{name}.log", timeout_seconds=seconds, needs=needs)
    )


async def _version(place: Path, name: str, argv: tuple[str, ...], *, required: bool = False, remedy: str) -> Finding:
    done = await _answer(place, name, argv)
    is_well = done.ending is Ending.EXITED and done.exit_code == 0
    said = first_lines(done.head, 1) if is_well else done.detail or first_lines(done.tail, 1)
    return Finding(name, said, is_well, required, remedy)


async def _pythons(place: Path) -> Finding:
    """The interpreters that environments can be built with."""
    listed = place / "pythons"
    argv = (str(find_uv()), "python", "list", "--only-installed")
    await run(Command(argv=argv, directory=place, log=place / "pythons.log", stdout=listed, timeout_seconds=15))
    names = {line.split()[0].split("-")[1] for line in listed.read_text("utf-8", "replace").splitlines() if "-" in line}
    said = ", ".join(sorted(names, key=lambda name: [int(part) for part in re.findall(r"\d+", name)]))
    return Finding("interpreters", said or "none found", bool(said), remedy="uv python install 3.12")


async def _engine(place: Path) -> Finding:
    found = await find_engine(place / "engine.log")
    if isinstance(found, EngineMissing):
        return Finding("container engine", found.reason, is_well=False, remedy=f"images/* need it: {found.remedy}")
    return Finding("container engine", f"{found.version}, buildx {found.buildx_version}", is_well=True)


async def _python_registry(place: Path) -> Finding:
    wanted = place / "wanted.in"
    wanted.write_text("pip\n")
    argv = (str(find_uv()), "pip", "compile", "--no-cache", "--quiet", "--no-deps", str(wanted))
    done = await _answer(place, "python-registry", argv, seconds=30)
    is_well = done.ending is Ending.EXITED and done.exit_code == 0
    said = "answers" if is_well else done.detail or first_lines(done.tail, 1)
    return Finding("Python packages", said, is_well, remedy="new environments cannot be built")


async def _node_registry(place: Path) -> Finding:
    done = await _answer(place, "node-registry", ("npm", "view", "npm", "version"), seconds=30)
    is_well = done.ending is Ending.EXITED and done.exit_code == 0
    said = "answers" if is_well else done.detail or first_lines(done.tail, 1)
    return Finding("Node packages", said, is_well, remedy="new environments cannot be built")


def _disk(state: Path) -> Finding:
    try:
        state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=state):
            free = shutil.disk_usage(state).free
    except OSError as refused:
        said = f"{state} cannot be written: {refused.strerror}"
        return Finding("state", said, is_well=False, is_required=True, remedy="set TOWPATH_HOME to a place that can")
    said = f"{state}, {free / (1 << 30):.0f} GiB free"
    return Finding("state", said, free > _TIGHT_BYTES, is_required=True, remedy="free at least 2 GiB")
