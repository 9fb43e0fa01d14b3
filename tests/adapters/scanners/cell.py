"""A real scanner run the way Towpath's runner promises it: the places of tasks/core/security/scanner.py, and no more.

It solves that a parser is only as good as the output it was tried on. It promises that a scanner sees the system, its
own folder and the places, nothing of the machine's user, and the network only where asked. It must never run a scanner
outside bubblewrap: what a case plants may be hostile.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.core.security.scanner import DATABASE, HISTORY, IMAGE, SCRATCH, TARGET, Scan, Scanner
from tasks.core.tools.contract import Output

_SYSTEM = ("lib", "lib64", "bin", "sbin")
_NEEDED = ("/etc/ssl", "/etc/ld.so.cache", "/etc/alternatives", "/etc/ca-certificates", "/etc/passwd")
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
    return bool(shutil.which("bwrap")) and sys.platform.startswith("linux")


def run(scanner: Scanner, program: str, scan: Scan, places: Places, *, has_network: bool = False) -> Ran:
    """The scanner over these places; the files of the scan are written first, as the runner does."""
    write_files(places.scratch, scan.files)
    (places.scratch / "home").mkdir(exist_ok=True)
    command = [*_room(scanner, scan, places, has_network=has_network), program, *scanner.arguments(scan)]
    return _kept(scanner, places, run_plainly(command))


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


def _room(scanner: Scanner, scan: Scan, places: Places, *, has_network: bool) -> list[str]:
    words = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    words += ["--share-net"] if has_network else []
    words += ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for name in _SYSTEM:
        words += ["--symlink", f"usr/{name}", f"/{name}"]
    for name in (*_NEEDED, *(("/etc/resolv.conf", "/etc/hosts") if has_network else ())):
        words += ["--ro-bind-try", name, name]
    words += _mounts(places)
    variables = {"PATH": "/usr/bin:/bin", "HOME": f"{SCRATCH}/home", "LANG": "C.UTF-8", **scanner.variables(scan)}
    for name, value in variables.items():
        words += ["--setenv", name, value]
    return [*words, "--chdir", scanner.directory]


def _mounts(places: Places) -> list[str]:
    inside = {places.target: TARGET, places.history: HISTORY, places.database: DATABASE, places.image: IMAGE}
    words = [word for real, place in inside.items() if real for word in ("--ro-bind", str(real), place)]
    for tool in (*places.tools, Path(sys.base_prefix)):
        words += ["--ro-bind", str(tool), str(tool)]
    return [*words, "--bind", str(places.scratch), SCRATCH]
