"""A real scanner run the way Towpath's runner promises it: the places of tasks/core/security/scanner.py, and no more.

It solves that a parser is only as good as the output it was tried on. It promises that a scanner sees the system, its
own folder and the places, nothing of the machine's user, and the network only where asked. It must never run a scanner
outside bubblewrap: what a case plants may be hostile.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.adapters.confinement import Room, confined, means
from tasks.core.security.scanner import DATABASE, HISTORY, IMAGE, SCRATCH, TARGET, Scan, Scanner
from tasks.core.tools.contract import Output

_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Places:
    """The real folders behind the places of the sandbox; `tools` are mounted where they are."""

    target: Path
    scratch: Path
    history: Path | None = None
    database: Path | None = None
    image: Path | None = None
    tools: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Ran:
    exit_code: int
    output: Output


def can_confine() -> bool:
    return bool(means().bubblewrap)


def run(scanner: Scanner, program: str, scan: Scan, places: Places, *, has_network: bool = False) -> Ran:
    """The scanner over these places; the files of the scan are written first, as the runner does."""
    write_files(places.scratch, scan.files)
    (places.scratch / "home").mkdir(exist_ok=True)
    variables = {"PATH": "/usr/bin:/bin", "HOME": f"{SCRATCH}/home", "LANG": "C.UTF-8", **scanner.variables(scan)}
    room = _room(places, has_network=has_network)
    argv = (program, *scanner.arguments(scan))
    command = confined(argv, room, directory=scanner.directory, variables=variables)
    return _kept(scanner, places, run_plainly(list(command)))


def run_plainly(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, capture_output=True, timeout=_TIMEOUT_SECONDS, env=environment, check=False)


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogateescape")


def _kept(scanner: Scanner, places: Places, done: subprocess.CompletedProcess[bytes]) -> Ran:
    stdout, log = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    written = {name: places.scratch / name for name in scanner.reports}
    reports = {name: path.read_text(errors="replace") for name, path in written.items() if path.is_file()}
    return Ran(done.returncode, Output(stdout, log, reports))


def _room(places: Places, *, has_network: bool) -> Room:
    inside = {TARGET: places.target, HISTORY: places.history, DATABASE: places.database, IMAGE: places.image}
    seen = {place: real for place, real in inside.items() if real is not None}
    tools = {str(tool): tool for tool in (*places.tools, Path(sys.base_prefix)) if not tool.is_relative_to("/usr")}
    return Room(readable={**seen, **tools}, writable={SCRATCH: places.scratch}, has_network=has_network)
