"""Which runs are alive on this machine, told by locks that die with their holder.

Prefect keeps a run that was killed with -9 as Running for ever. A run holds a lock on a file named after it; a file
without a holder is a run that died, and whoever finds it can say so.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def hold_run(state: Path, run_id: str) -> Iterator[None]:
    """Mark a run as alive until the context ends or the process dies."""
    path = state / "live" / run_id
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def live_and_dead(state: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Ids of runs that are alive, and of those that died without a word."""
    live, dead = set[str](), set[str]()
    for path in (state / "live").glob("*"):
        (dead if _is_free(path) else live).add(path.name)
    return frozenset(live), frozenset(dead)


def forget(state: Path, run_id: str) -> None:
    with suppress(OSError):
        (state / "live" / run_id).unlink()


def _is_free(path: Path) -> bool:
    try:
        with path.open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return False
    return True
