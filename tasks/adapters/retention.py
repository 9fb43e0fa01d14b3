"""Keeping the state folder from growing for ever: old runs' folders and old remembered results go, oldest first.

A run that is alive keeps its folder, and a result that was used lately stays; what is deleted costs a run, no verdict.
"""

import shutil
import time
from contextlib import suppress
from pathlib import Path

_RESULT_DAYS = 30


def forget_old_runs(state: Path, *, kept: int) -> None:
    """Delete the folders of all but the newest `kept` runs; their names begin with the time they began."""
    folders = sorted((folder for folder in (state / "reports").glob("*") if folder.is_dir()), reverse=True)
    for folder in folders[kept:]:
        shutil.rmtree(folder, ignore_errors=True)


def forget_old_results(state: Path, *, now: float | None = None) -> None:
    """Delete remembered results that were written more than 30 days ago."""
    limit = (time.time() if now is None else now) - _RESULT_DAYS * 86_400
    for path in (state / "results").glob("*/*"):
        with suppress(OSError):
            if path.is_file() and path.stat().st_mtime < limit:
                path.unlink()
