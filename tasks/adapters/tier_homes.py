"""A home apart for the runs of one stranger's pull request, inside Towpath's own.

What such runs build, install and remember lies there. Our own programs, scanners' databases and mirrors of repositories
are those of all runs, since no stranger's code can write to them: it runs in rooms that show neither. Homes that were
not used for a while are deleted, the oldest first when there are many; one that is in use never is.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.core.tiers import TRUSTED

_SHARED = ("tools", "security", "mirrors")
_KEPT_SECONDS, _KEPT_HOMES = 7 * 86_400.0, 10


@contextmanager
def tier_home(home: Path, tier: str, *, now: float) -> Iterator[Path]:
    """Where runs of the tier keep what they make, until the context ends; the home itself for trusted ones."""
    if tier == TRUSTED:
        yield home
        return
    place = home / "untrusted" / tier
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with place.with_name(f"{tier}.lock").open("w") as used:
        fcntl.flock(used, fcntl.LOCK_SH)
        _furnish(place, home)
        os.utime(place, (now, now))
        _sweep(place.parent, now)
        yield place


def _furnish(place: Path, home: Path) -> None:
    place.mkdir(exist_ok=True, mode=0o700)
    for name in _SHARED:
        (home / name).mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            (place / name).symlink_to(home / name, target_is_directory=True)


def _sweep(folder: Path, now: float) -> None:
    homes = sorted((path for path in folder.iterdir() if path.is_dir()), key=_used_at, reverse=True)
    for number, place in enumerate(homes):
        if number >= _KEPT_HOMES or now - _used_at(place) > _KEPT_SECONDS:
            _remove(place)


def _used_at(place: Path) -> float:
    with suppress(OSError):
        return place.stat().st_mtime
    return 0.0


def _remove(place: Path) -> None:
    """Unless somebody holds it."""
    with suppress(OSError), place.with_name(f"{place.name}.lock").open("w") as used:
        fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(place, ignore_errors=True)
