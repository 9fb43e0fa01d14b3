"""One SQLite file, one thread that writes it, and one sync to the disk for all that was asked for meanwhile.

A sync costs milliseconds and a busy door has a hundred writers a second, so those who wait share one. It promises that
a write is on the disk (write-ahead log, full sync) when its answer comes, that one that fails takes no other with it,
and that a process killed with -9 leaves a file that opens.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

_MOST_AT_ONCE = 256
_BUSY_SECONDS = 30.0
_Found = TypeVar("_Found")
Work = Callable[[sqlite3.Connection], _Found]
_Asked = tuple[Work[Any], Future[Any]]


class StoreBroken(Exception):
    """The file cannot be written or read; the text is one line."""


class GroupCommit:
    """The file and its thread. Work is done in the order in which it was asked for."""

    def __init__(self, path: Path, schema: str) -> None:
        self._path, self._schema = path, schema
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="deliveries", daemon=True)
        self._opened: Future[None] = Future()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        self._opened.result()

    def ask(self, work: Work[_Found]) -> "Future[_Found]":
        """What the work gives, once it is on the disk."""
        answer: Future[_Found] = Future()
        self._asked.put((work, answer))
        return answer

    def close(self) -> None:
        self._asked.put(None)
        self._thread.join()

    def _serve(self) -> None:
        try:
            connection = self._connected()
        except (sqlite3.Error, OSError) as broken:
            self._opened.set_exception(StoreBroken(f"{self._path} cannot be opened ({broken}): look at it first"))
            return
        self._opened.set_result(None)
        try:
            while batch := self._next_batch():
                # NOTE: who no longer waits is passed over here; from now on nobody can take his question back.
                _do(connection, [each for each in batch if each is not None and each[1].set_running_or_notify_cancel()])
                if batch[-1] is None:
                    return
        finally:
            connection.close()

    def _connected(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=_BUSY_SECONDS)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(self._schema)
        return connection

    def _next_batch(self) -> list[_Asked | None]:
        batch = [self._asked.get()]
        while batch[-1] is not None and len(batch) < _MOST_AT_ONCE:
            try:
                batch.append(self._asked.get_nowait())
            except queue.Empty:
                break
        return batch


def _do(connection: sqlite3.Connection, asked: list[_Asked]) -> None:
    """All of it in one transaction; answers go out after the commit, a refusal of the commit to everybody."""
    answers: list[tuple[Future[Any], Any, BaseException | None]] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for work, answer in asked:
            answers.append((answer, *_done(connection, work)))
        connection.execute("COMMIT")
    except sqlite3.Error as broken:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        lost = StoreBroken(f"deliveries could not be written ({broken})")
        for _, answer in asked:
            answer.set_exception(lost)
        return
    for answer, found, failure in answers:
        if failure is None:
            answer.set_result(found)
        else:
            answer.set_exception(failure)


def _done(connection: sqlite3.Connection, work: Work[Any]) -> tuple[Any, BaseException | None]:
    connection.execute("SAVEPOINT one")
    try:
        found = work(connection)
    except Exception as failure:  # noqa: BLE001  (whatever one of them does must not undo the others)
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        return None, failure
    connection.execute("RELEASE one")
    return found, None
