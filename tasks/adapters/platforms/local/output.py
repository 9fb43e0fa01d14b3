"""Keeping what instances say from filling the disk.

An instance writes to its file itself and goes on doing so when the supervisor is gone, so a file that grew too long is
copied aside and emptied under the writer's hands, who appends and so goes on at its new end. What is written in between
is lost; that is the price of a writer that needs nobody.
"""

import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 10 << 20
_KEPT_OF_GONE = 10


def cap(log: Path, *, most_bytes: int = MOST_BYTES) -> None:
    """Keep a file within its bound, with one older file beside it."""
    try:
        if log.stat().st_size <= most_bytes:
            return
    except OSError:
        return
    older = log.with_name(f"{log.name}.1")
    try:
        shutil.copyfile(log, older)
    except OSError:
        # The disk may be full: what is copied halfway is worth less than the room it takes.
        with suppress(OSError):
            older.unlink(missing_ok=True)
    with suppress(OSError):
        os.truncate(log, 0)


def forget_gone(logs: Path, living: Collection[str]) -> None:
    """Delete the files of instances that are gone, but for the last ones, which somebody may want to read."""
    gone = [path for path in logs.glob("*.log") if path.stem not in living]
    for path in sorted(gone, key=_changed, reverse=True)[_KEPT_OF_GONE:]:
        with suppress(OSError):
            path.unlink(missing_ok=True)
            path.with_name(f"{path.name}.1").unlink(missing_ok=True)


def _changed(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
