"""Installed dependencies of a target, built once per lock file and kept between runs, outside the target.

A Python environment is a folder of its own. Node finds modules only beside the code, so a Node environment lives in
the snapshot's tree and is moved aside when another lock file takes its place. An environment without its marker was
interrupted while it was built, and is never used.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.adapters.installer import find_uv
from tasks.adapters.process import Command, Completion, Ending, Need, run
from tasks.adapters.state import file_digest, write_atomically
from tasks.core.environments import Environment, EnvironmentKind, Step, digest
from tasks.core.installs import InstallTrouble, explain_install

if TYPE_CHECKING:
    # NOTE: the pre-commit hook needs none of it and waits for every import.
    from tasks.adapters.snapshots import Snapshot

MARKER = ".towpath-environment.json"
_KEPT_PER_SLOT = 6


class InstallFailed(Exception):
    """The environment could not be built; `trouble` says why, what to do, and whether trying again may help."""

    def __init__(self, trouble: InstallTrouble) -> None:
        super().__init__(trouble.reason)
        self.trouble = trouble


@dataclass(frozen=True)
class Built:
    """A ready environment: `folder` is the virtual environment, or the folder that holds node_modules."""

    id: str
    kind: EnvironmentKind
    folder: Path
    fingerprint: str
    seconds: float
    is_reused: bool

    @property
    def binaries(self) -> Path:
        return self.folder / "bin" if self.kind is EnvironmentKind.PYTHON else self.folder / "node_modules" / ".bin"


def machine_facts() -> str:
    """What an environment depends on beside its inputs: platform and interpreters, told by path, size and time."""
    programs = [shutil.which(name) for name in ("node", "python3")]
    known = [(path, Path(path).stat()) for path in programs if path]
    stats = [(path, found.st_size, int(found.st_mtime)) for path, found in known]
    return digest([platform.system(), platform.machine(), stats])


async def build_environment(
    environment: Environment, snapshot: Snapshot, *, log: Path, timeout_seconds: float
) -> Built:
    """The environment, reused when its fingerprint is known. Raises InstallFailed."""
    fingerprint = environment.fingerprint(snapshot.files, machine=machine_facts())
    is_python = environment.kind is EnvironmentKind.PYTHON
    place = (_PythonPlace if is_python else _NodePlace)(environment, snapshot, fingerprint)
    started = time.monotonic()
    try:
        is_reused = place.take_up()
        if not is_reused:
            await _install(environment, snapshot, place.folder, log=log, timeout_seconds=timeout_seconds)
            place.seal()
    except OSError as broken:
        raise InstallFailed(
            InstallTrouble(f"{broken.filename}: {broken.strerror}", "free or unlock that place and run again")
        ) from broken
    seconds = time.monotonic() - started
    return Built(
        environment.id, environment.kind, place.folder, _identity(place.folder, fingerprint), seconds, is_reused
    )


def _identity(folder: Path, fingerprint: str) -> str:
    """What really got installed, since without a lock file the same inputs may resolve to other versions later."""
    infos = sorted(info.name for info in folder.glob("lib/python*/site-packages/*.dist-info"))
    lock = folder / "node_modules" / ".package-lock.json"
    return digest([fingerprint, infos, file_digest(lock) if lock.is_file() else ""])


@dataclass(frozen=True)
class _PythonPlace:
    """A virtual environment, and what building the project left in its tree (version files, compiled modules)."""

    environment: Environment
    snapshot: Snapshot
    fingerprint: str

    @property
    def folder(self) -> Path:
        return self.snapshot.environments / f"python-{self.fingerprint[:20]}"

    def take_up(self) -> bool:
        generated = self.folder / "towpath-generated"
        if _is_sealed(self.folder, self.fingerprint) and (self.folder / "bin" / "python").exists():
            if generated.is_dir():
                shutil.copytree(generated, self.snapshot.tree, symlinks=True, dirs_exist_ok=True)
            os.utime(self.folder)
            return True
        shutil.rmtree(self.folder, ignore_errors=True)
        _prune(self.snapshot.environments)
        return False

    def seal(self) -> None:
        for path in _generated(self.snapshot):
            kept = self.folder / "towpath-generated" / path
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.snapshot.tree / path, kept, follow_symlinks=False)
        _seal(self.folder, self.fingerprint)


@dataclass(frozen=True)
class _NodePlace:
    """The node_modules folders of a root and its members; the marker is in the root's and is the last thing written."""

    environment: Environment
    snapshot: Snapshot
    fingerprint: str

    @property
    def folder(self) -> Path:
        return self.snapshot.tree / self.environment.root

    def take_up(self) -> bool:
        if _is_sealed(self.folder / "node_modules", self.fingerprint):
            return True
        self._stow()
        stowed = self._stowed(self.fingerprint)
        if not (stowed / MARKER).exists():
            shutil.rmtree(stowed, ignore_errors=True)
            _prune(self.snapshot.environments)
            return False
        (stowed / MARKER).unlink()
        for modules in self._modules(stowed):
            modules.rename(self.snapshot.tree / modules.relative_to(stowed))
        shutil.rmtree(stowed)
        self.seal()
        return True

    def seal(self) -> None:
        (self.folder / "node_modules").mkdir(exist_ok=True)
        _seal(self.folder / "node_modules", self.fingerprint)

    def _stow(self) -> None:
        """Move aside what is there; an environment that was not finished is deleted."""
        marker = self.folder / "node_modules" / MARKER
        known = _read_marker(self.folder / "node_modules")
        if known:
            marker.unlink()
        for modules in self._modules(self.snapshot.tree):
            if known:
                place = self._stowed(known) / modules.relative_to(self.snapshot.tree)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(place, ignore_errors=True)
                modules.rename(place)
            else:
                shutil.rmtree(modules)
        if known:
            _seal(self._stowed(known), known)

    def _stowed(self, fingerprint: str) -> Path:
        return self.snapshot.environments / f"node-{fingerprint[:20]}"

    def _modules(self, base: Path) -> Iterator[Path]:
        for folder in dict.fromkeys((*self.environment.folders, self.environment.root)):
            if (modules := base / folder / "node_modules").is_dir():
                yield modules


def _seal(folder: Path, fingerprint: str) -> None:
    write_atomically(folder / MARKER, json.dumps({"fingerprint": fingerprint}))


def _read_marker(folder: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((folder / MARKER).read_text())["fingerprint"])
    return ""


def _is_sealed(folder: Path, fingerprint: str) -> bool:
    return _read_marker(folder) == fingerprint


def _prune(environments: Path) -> None:
    """Forget the environments unused for longest; the package managers' own caches make a rebuild cheap."""
    environments.mkdir(parents=True, exist_ok=True)
    by_age = sorted(environments.iterdir(), key=lambda folder: folder.lstat().st_mtime, reverse=True)
    for folder in by_age[_KEPT_PER_SLOT - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)


def _generated(snapshot: Snapshot) -> Iterator[str]:
    for folder, folders, names in os.walk(snapshot.tree):
        folders[:] = [name for name in folders if name not in ("node_modules", "__pycache__", ".git", "build")]
        for name in names:
            found = Path(folder) / name
            path = str(found.relative_to(snapshot.tree))
            if path not in snapshot.files and found.is_file():
                yield path


async def _install(
    environment: Environment, snapshot: Snapshot, folder: Path, *, log: Path, timeout_seconds: float
) -> None:
    fill = {"uv": str(find_uv()), "venv": str(folder), "tree": str(snapshot.tree)}
    directory = snapshot.tree / environment.root
    for number, step in enumerate(environment.steps):
        part = log.with_suffix(f".{number}.log")
        await _step(environment, step, fill, directory=directory, log=part, timeout_seconds=timeout_seconds)
    missing = [(name, version) for name, version in environment.tools if not python_version_of(folder, name)]
    if missing:
        wanted = tuple(f"{name}=={version}" for name, version in missing)
        step = Step(("{uv}", "pip", "install", "--python", "{venv}", *wanted), {})
        await _step(
            environment,
            step,
            fill,
            directory=directory,
            log=log.with_suffix(".tools.log"),
            timeout_seconds=timeout_seconds,
        )


async def _step(
    environment: Environment, step: Step, fill: Mapping[str, str], *, directory: Path, log: Path, timeout_seconds: float
) -> None:
    argv = tuple(_filled(part, fill) for part in step.argv)
    variables = {name: _filled(value, fill) for name, value in step.variables.items()}
    # NOTE: byte code compiled once here saves every first import of every check afterwards.
    chosen = {"UV_COMPILE_BYTECODE": "1", "UV_PYTHON_DOWNLOADS": os.environ.get("UV_PYTHON_DOWNLOADS", "never")}
    completion = await run(
        Command(
            argv=argv,
            directory=directory,
            log=log,
            timeout_seconds=timeout_seconds,
            environment={**chosen, **variables},
            needs=frozenset({Need.REGISTRY}),
        )
    )
    if completion.ending is not Ending.EXITED or completion.exit_code:
        raise InstallFailed(_explain(environment, argv, completion, log))


def _explain(environment: Environment, argv: tuple[str, ...], completion: Completion, log: Path) -> InstallTrouble:
    if completion.ending is Ending.NOT_FOUND:
        return InstallTrouble(
            f"{completion.detail}", f"install {Path(argv[0]).name}; towpath doctor shows what is missing"
        )
    return explain_install(
        environment.manager, completion.head + completion.tail, ending=completion.detail, log_path=str(log)
    )


def _filled(part: str, fill: Mapping[str, str]) -> str:
    for name, value in fill.items():
        part = part.replace(f"{{{name}}}", value)
    return part


def python_version_of(venv: Path, package: str) -> str:
    """The version of an installed distribution, empty where it is absent, read from its folder's name."""
    wanted = package.replace("-", "_").lower()
    for site in (venv / "lib").glob("python*/site-packages"):
        for info in site.glob("*.dist-info"):
            name, _, version = info.name.removesuffix(".dist-info").partition("-")
            if name.lower().replace("-", "_") == wanted:
                return version
    return ""


def node_version_of(modules: Path, package: str) -> str:
    """The version in an installed package's package.json, empty where it is absent."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((modules / package / "package.json").read_text())["version"])
    return ""
