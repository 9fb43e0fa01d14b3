"""What earlier runs took and how they ended, in a small SQLite file.

It orders the work, heaviest first. A run never fails for it: a history that cannot be read or written is an empty one.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS checks (
  target TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL,
  verdict TEXT NOT NULL, seconds REAL NOT NULL, at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS checks_by_target ON checks (target, id, at);
"""
_RECENT = 5


@dataclass(frozen=True)
class Entry:
    """One check that ran: `key` names its inputs, `seconds` its wall time, `at` seconds since the epoch."""

    id: str
    key: str
    verdict: str
    seconds: float
    at: float


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=5.0)) as connection, connection:
        connection.executescript(_SCHEMA)
        yield connection


def record(path: Path, target: str, entries: Iterable[Entry]) -> None:
    rows = [(target, entry.id, entry.key, entry.verdict, entry.seconds, entry.at) for entry in entries]
    if not rows:
        return
    try:
        with _opened(path) as connection:
            connection.executemany("INSERT INTO checks VALUES (?, ?, ?, ?, ?, ?)", rows)
    except (sqlite3.Error, OSError):
        return


def remembered_seconds(path: Path, target: str) -> dict[str, float]:
    """The mean wall seconds of each check's last runs."""
    if not path.exists():
        return {}
    query = """SELECT id, avg(seconds) FROM (
        SELECT id, seconds, row_number() OVER (PARTITION BY id ORDER BY at DESC) AS age FROM checks WHERE target = ?
    ) WHERE age <= ? GROUP BY id"""
    try:
        with _opened(path) as connection:
            return dict(connection.execute(query, (target, _RECENT)).fetchall())
    except (sqlite3.Error, OSError):
        return {}
