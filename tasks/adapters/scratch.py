"""Folders for the length of one step, that nobody else may look into and that do not outlive a crash for long.

Each is held by a lock that dies with its holder; whoever makes the next one deletes those without a holder.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def scratch_folder(state: Path) -> Iterator[Path]:
    """A private, empty folder until the context ends."""
    base = state / "scratch"
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    _sweep(base)
    place = Path(tempfile.mkdtemp(dir=base))
    lock = place.with_name(f"{place.name}.lock")
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        try:
            yield place
        finally:
            _remove(place)
            lock.unlink(missing_ok=True)


def _sweep(base: Path) -> None:
    for lock in base.glob("*.lock"):
        with suppress(OSError), lock.open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(lock.with_suffix(""))
            lock.unlink(missing_ok=True)


def _remove(place: Path) -> None:
    """Also what a tool made unreadable there."""
    for folder in place.rglob("*") if place.is_dir() else ():
        with suppress(OSError):
            if folder.is_dir() and not folder.is_symlink():
                folder.chmod(0o700)
    shutil.rmtree(place, ignore_errors=True)
