"""The deliveries that the door has taken, and what became of each, in one SQLite file of Towpath's home.

It promises that what was accepted is on the disk, that a delivery's id counts once, and that the same signed body
under another id counts for nothing, since GitHub does not sign the id. Signatures and other headers are never stored.
Bodies are kept for as long as the door is told; that a body was here is remembered after that too.
"""

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tasks.adapters.group_commit import GroupCommit
from tasks.core.starts import Start

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
  id TEXT PRIMARY KEY, event TEXT NOT NULL, repository TEXT NOT NULL, sender TEXT NOT NULL, received_at REAL NOT NULL,
  body BLOB NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', round INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_arrival ON deliveries (received_at);
CREATE INDEX IF NOT EXISTS unread ON deliveries (received_at) WHERE state = 'received';
CREATE TABLE IF NOT EXISTS runs (
  number INTEGER PRIMARY KEY, delivery TEXT NOT NULL, key TEXT NOT NULL, start TEXT NOT NULL, state TEXT NOT NULL,
  run TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '', not_before REAL NOT NULL DEFAULT 0,
  received_at REAL NOT NULL, cancels TEXT NOT NULL, moment TEXT NOT NULL, repository TEXT NOT NULL,
  pull_request INTEGER NOT NULL, hash TEXT NOT NULL, deployment TEXT NOT NULL, UNIQUE (delivery, key)
);
CREATE INDEX IF NOT EXISTS waiting ON runs (number) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS rivals ON runs (cancels) WHERE cancels <> '';
CREATE INDEX IF NOT EXISTS by_commit ON runs (repository, hash);
CREATE TABLE IF NOT EXISTS allowed (
  repository TEXT NOT NULL, pull_request INTEGER NOT NULL, hash TEXT NOT NULL, by TEXT NOT NULL,
  PRIMARY KEY (repository, pull_request, hash)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (digest BLOB PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID;
"""
_START = TypeAdapter(Start)


class DeliveryState(StrEnum):
    """`received` is for the drain to read; of a `started` one the runs tell the rest."""

    RECEIVED = "received"
    STARTED = "started"
    IGNORED = "ignored"
    REFUSED = "refused"


class RunState(StrEnum):
    """`held` waits for a person, `superseded` was made pointless by a newer commit."""

    WAITING = "waiting"
    STARTED = "started"
    HELD = "held"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


class Reception(StrEnum):
    """How a delivery was taken."""

    NEW = "new"
    REPEATED = "repeated"
    REPLAYED = "replayed"


@dataclass(frozen=True)
class Arrival:
    """A signed delivery with what it was read to mean."""

    id: str
    event: str
    repository: str
    sender: str
    body: bytes
    at: float
    state: DeliveryState
    reason: str = ""
    starts: tuple[Start, ...] = ()


@dataclass(frozen=True)
class StoredRun:
    """One run of a delivery, as it stands."""

    number: int
    delivery: str
    start: Start
    state: RunState
    run: str
    reason: str
    received_at: float
    round: int

    @property
    def idempotency_key(self) -> str:
        """The same however often it is handed over, and another when a person asks for the delivery once more."""
        return f"{self.delivery}:{self.start.key}" + (f":{self.round}" if self.round else "")


@dataclass(frozen=True)
class Delivery:
    """One delivery, as it stands."""

    id: str
    event: str
    repository: str
    sender: str
    received_at: float
    state: DeliveryState
    reason: str
    runs: tuple[StoredRun, ...]
    body: bytes = b""

    @property
    def payload(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Received:
    """How a delivery was taken, and the ids of its runs that are known."""

    reception: Reception
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Backlog:
    """What waits: how much, and since when, 0 when nothing does."""

    count: int
    oldest_at: float


def store_path(state: Path) -> Path:
    return state / "door" / "deliveries.db"


class Deliveries:
    """The file. Every method gives a future that is done when its work is on the disk."""

    def __init__(self, path: Path) -> None:
        self._store = GroupCommit(path, _SCHEMA)

    def close(self) -> None:
        self._store.close()

    def receive(self, arrival: Arrival) -> "Future[Received]":
        packed = zlib.compress(arrival.body, level=1)
        digest = hashlib.sha256(arrival.body).digest()
        return self._store.ask(lambda db: _received(db, arrival, packed, digest))

    def read(self, delivery: str) -> "Future[Delivery | None]":
        """One delivery with its body, by its id or the only one that begins so."""
        return self._store.ask(lambda db: _read(db, delivery))

    def recent(self, limit: int) -> "Future[list[Delivery]]":
        """The newest deliveries, newest first, without their bodies."""
        wanted = "SELECT * FROM deliveries ORDER BY received_at DESC LIMIT ?"
        return self._store.ask(lambda db: [_delivery(db, row) for row in db.execute(wanted, (limit,)).fetchall()])

    def unread(self, *, without: Iterable[str] = ()) -> "Future[list[Delivery]]":
        """What has arrived and is to be carried out, oldest first; `without` are those whose turn it is not."""
        names = json.dumps(list(without))
        wanted = "state = 'received' AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY received_at LIMIT 20"
        return self._store.ask(lambda db: _unread(db, wanted, names))

    def settle(
        self, delivery: str, state: DeliveryState, reason: str = "", starts: Iterable[Start] = ()
    ) -> "Future[None]":
        """What became of a delivery that was carried out, and the runs that follow from it."""
        following = tuple(starts)
        return self._store.ask(lambda db: _settled(db, delivery, state, reason, following))

    def due(self, now: float, limit: int) -> "Future[list[StoredRun]]":
        """Runs to hand over now, in the order of their arrival."""
        where = "r.state = 'waiting' AND r.not_before <= ? ORDER BY r.number LIMIT ?"
        return self._store.ask(lambda db: _runs(db, where, (now, limit)))

    def rivals(self, run: StoredRun) -> "Future[list[StoredRun]]":
        """The other runs of the same deployment for the same pull request that have not been given up."""
        where = "r.cancels = ? AND r.cancels <> '' AND r.number <> ? AND r.state IN ('waiting', 'held', 'started')"
        return self._store.ask(lambda db: _runs(db, where, (run.start.cancels, run.number)))

    def set_run(
        self, run: StoredRun, state: RunState, *, flow_run: str = "", reason: str = "", not_before: float = 0.0
    ) -> "Future[None]":
        change = "UPDATE runs SET state = ?, run = coalesce(nullif(?, ''), run), reason = ?, not_before = ?"
        values = (state.value, flow_run, reason, not_before, run.number)
        return self._store.ask(lambda db: _nothing(db.execute(f"{change} WHERE number = ?", values)))

    def put_off(self, run: StoredRun, until: float) -> "Future[None]":
        """Let a run wait, with all else that is noted of it as it is."""
        change = "UPDATE runs SET not_before = ? WHERE number = ? AND state = 'waiting'"
        return self._store.ask(lambda db: _nothing(db.execute(change, (until, run.number))))

    def latest(self, repository: str, *, pull_request: int = 0, commit: str = "") -> "Future[list[StoredRun]]":
        """The runs of a pull request or a commit, newest first."""
        of_commit = "r.repository = ? AND r.hash = ?", (repository.casefold(), commit)
        of_pull_request = "r.repository = ? AND r.pull_request = ?", (repository.casefold(), pull_request)
        where, values = of_commit if commit else of_pull_request
        return self._store.ask(lambda db: _runs(db, f"{where} ORDER BY r.moment DESC, r.number DESC LIMIT 100", values))

    def repositories_of(self, run: str) -> "Future[dict[str, str]]":
        """The flow runs whose ids begin so, each with the repository whose delivery started it."""
        wanted = "SELECT run, repository FROM runs WHERE substr(run, 1, ?) = ? AND run <> ''"
        return self._store.ask(
            lambda db: {row["run"]: row["repository"] for row in db.execute(wanted, (len(run), run))}
        )

    def allow(self, repository: str, pull_request: int, commit: str, by: str) -> "Future[int]":
        """Let a stranger's commit run; how many runs that sets free."""
        return self._store.ask(lambda db: _allowed(db, repository, pull_request, commit, by))

    def is_allowed(self, run: StoredRun) -> "Future[bool]":
        origin = run.start.origin
        wanted = "SELECT 1 FROM allowed WHERE repository = ? AND pull_request = ? AND hash = ?"
        values = (origin.repository.casefold(), origin.pull_request, origin.commit)
        return self._store.ask(lambda db: db.execute(wanted, values).fetchone() is not None)

    def redeliver(self, delivery: str) -> "Future[bool]":
        """Have a delivery done once more, as if it were new; whether there is one."""
        return self._store.ask(lambda db: _redelivered(db, delivery))

    def backlog(self) -> "Future[Backlog]":
        return self._store.ask(_backlog)

    def forget(self, before: float) -> "Future[int]":
        """Delete what arrived earlier and waits for nothing; how many deliveries that were."""
        return self._store.ask(lambda db: _forgotten(db, before))


def _unread(db: sqlite3.Connection, where: str, names: str) -> list[Delivery]:
    rows = db.execute(f"SELECT * FROM deliveries WHERE {where}", (names,)).fetchall()  # noqa: S608
    return [_delivery(db, row, has_body=True) for row in rows]


def _nothing(_: sqlite3.Cursor) -> None:
    return None


def _received(db: sqlite3.Connection, arrival: Arrival, packed: bytes, digest: bytes) -> Received:
    before = db.execute("SELECT id FROM seen WHERE digest = ?", (digest,)).fetchone()
    is_known = db.execute("SELECT 1 FROM deliveries WHERE id = ?", (arrival.id,)).fetchone()
    if before and before["id"] == arrival.id:
        return Received(Reception.REPEATED, _run_ids(db, arrival.id))
    if before or is_known:
        return Received(Reception.REPLAYED)
    db.execute("INSERT INTO seen VALUES (?, ?)", (digest, arrival.id))
    db.execute(
        "INSERT INTO deliveries (id, event, repository, sender, received_at, body, state, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(arrival.id, arrival.event, arrival.repository, arrival.sender, arrival.at),
            *(packed, arrival.state.value, arrival.reason),
        ),
    )
    _add_runs(db, arrival.id, arrival.at, arrival.starts)
    return Received(Reception.NEW)


def _add_runs(db: sqlite3.Connection, delivery: str, at: float, starts: Iterable[Start]) -> None:
    for start in starts:
        origin = start.origin
        values = (
            *(delivery, start.key, _START.dump_json(start).decode(), at, start.cancels, start.moment),
            *(origin.repository.casefold(), origin.pull_request, origin.commit, start.deployment),
        )
        db.execute(
            "INSERT OR IGNORE INTO runs (delivery, key, start, state, received_at, cancels, moment, repository,"
            " pull_request, hash, deployment) VALUES (?, ?, ?, 'waiting', ?, ?, ?, ?, ?, ?, ?)",
            values,
        )


def _run_ids(db: sqlite3.Connection, delivery: str) -> tuple[str, ...]:
    rows = db.execute("SELECT run FROM runs WHERE delivery = ? AND run <> '' ORDER BY number", (delivery,))
    return tuple(row["run"] for row in rows)


def _runs(db: sqlite3.Connection, where: str, values: tuple[Any, ...]) -> list[StoredRun]:
    wanted = f"SELECT r.*, d.round FROM runs r JOIN deliveries d ON d.id = r.delivery WHERE {where}"  # noqa: S608
    return [_run(row) for row in db.execute(wanted, values).fetchall()]


def _run(row: Mapping[str, Any]) -> StoredRun:
    return StoredRun(
        number=row["number"],
        delivery=row["delivery"],
        start=_START.validate_json(row["start"]),
        state=RunState(row["state"]),
        run=row["run"],
        reason=row["reason"],
        received_at=row["received_at"],
        round=row["round"],
    )


def _delivery(db: sqlite3.Connection, row: sqlite3.Row, *, has_body: bool = False) -> Delivery:
    return Delivery(
        id=row["id"],
        event=row["event"],
        repository=row["repository"],
        sender=row["sender"],
        received_at=row["received_at"],
        state=DeliveryState(row["state"]),
        reason=row["reason"],
        runs=tuple(_runs(db, "r.delivery = ? ORDER BY r.number", (row["id"],))),
        body=zlib.decompress(row["body"]) if has_body else b"",
    )


def _read(db: sqlite3.Connection, delivery: str) -> Delivery | None:
    rows = db.execute("SELECT * FROM deliveries WHERE substr(id, 1, ?) = ? LIMIT 2", (len(delivery), delivery))
    found = rows.fetchall()
    return _delivery(db, found[0], has_body=True) if len(found) == 1 else None


def _settled(
    db: sqlite3.Connection, delivery: str, state: DeliveryState, reason: str, starts: tuple[Start, ...]
) -> None:
    change = "UPDATE deliveries SET state = ?, reason = ? WHERE id = ? RETURNING received_at"
    row = db.execute(change, (state.value, reason, delivery)).fetchone()
    if row is not None:
        _add_runs(db, delivery, row["received_at"], starts)


def _allowed(db: sqlite3.Connection, repository: str, pull_request: int, commit: str, by: str) -> int:
    of = (repository.casefold(), pull_request, commit)
    db.execute("INSERT OR IGNORE INTO allowed VALUES (?, ?, ?, ?)", (*of, by))
    freed = "UPDATE runs SET state = 'waiting', reason = '' WHERE state = 'held' AND repository = ?"
    return db.execute(f"{freed} AND pull_request = ? AND hash = ?", of).rowcount


def _redelivered(db: sqlite3.Connection, delivery: str) -> bool:
    had_runs = db.execute(
        "UPDATE runs SET state = 'waiting', run = '', reason = '', not_before = 0 WHERE delivery = ?", (delivery,)
    ).rowcount
    state = DeliveryState.STARTED if had_runs else DeliveryState.RECEIVED
    change = "UPDATE deliveries SET round = round + 1, state = ?, reason = '' WHERE id = ?"
    return bool(db.execute(change, (state.value, delivery)).rowcount)


def _backlog(db: sqlite3.Connection) -> Backlog:
    count, oldest = db.execute("SELECT count(*), min(received_at) FROM runs WHERE state = 'waiting'").fetchone()
    unread, first = db.execute("SELECT count(*), min(received_at) FROM deliveries WHERE state = 'received'").fetchone()
    return Backlog(count + unread, min((at for at in (oldest, first) if at is not None), default=0.0))


def _forgotten(db: sqlite3.Connection, before: float) -> int:
    is_over = "received_at < ? AND state <> 'received'"
    waits = "id NOT IN (SELECT delivery FROM runs WHERE state = 'waiting')"
    gone = db.execute(f"DELETE FROM deliveries WHERE {is_over} AND {waits}", (before,)).rowcount  # noqa: S608
    db.execute("DELETE FROM runs WHERE delivery NOT IN (SELECT id FROM deliveries)")
    return gone
