"""The store of deliveries: one of each, whatever is received, handed over and killed in whatever order."""

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.adapters.deliveries import Arrival, Deliveries, DeliveryState, Reception, RunState
from tasks.adapters.group_commit import StoreBroken
from tasks.core.origin import Origin
from tasks.core.starts import Start, starts_of

COMMIT = "a" * 40


def starts(pull_request: int = 0, *names: str, commit: str = COMMIT) -> tuple[Start, ...]:
    base = "main" if pull_request else ""
    origin = Origin(repository="acme/shop", commit=commit, pull_request=pull_request, base=base)
    return starts_of(names or ("ci", "security"), "target", origin, who="ada")


def arrival(number: int = 1, *, body: bytes | None = None, at: float = 100.0, of: tuple[Start, ...] = ()) -> Arrival:
    return Arrival(
        id=f"delivery-{number}",
        event="push",
        repository="acme/shop",
        sender="ada",
        body=body or f'{{"number": {number}}}'.encode(),
        at=at,
        state=DeliveryState.STARTED,
        starts=of or starts(),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Deliveries]:
    opened = Deliveries(tmp_path / "deliveries.db")
    yield opened
    opened.close()


def test_on_disk_when_answered(store: Deliveries, tmp_path: Path) -> None:
    """What was received is in the file, written with a full sync, for a reader that knows nothing of the writer."""
    assert store.receive(arrival()).result().reception is Reception.NEW
    with sqlite3.connect(tmp_path / "deliveries.db") as other:
        assert other.execute("SELECT count(*) FROM runs").fetchone() == (2,)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    assert store._store.ask(lambda db: db.execute("PRAGMA synchronous").fetchone()[0]).result() == 2
    assert (tmp_path / "deliveries.db").stat().st_mode & 0o077 == 0


def test_repeats_and_replays(store: Deliveries) -> None:
    """The same id is the same delivery with its runs; the same body under another id, or the reverse, is a replay."""
    store.receive(arrival()).result()
    first, _ = store.due(200.0, 10).result()
    store.set_run(first, RunState.STARTED, flow_run="run-1").result()
    again = store.receive(arrival()).result()

    assert (again.reception, again.runs) == (Reception.REPEATED, ("run-1",))
    assert store.receive(arrival(2, body=arrival().body)).result().reception is Reception.REPLAYED
    assert store.receive(arrival(body=b"{}")).result().reception is Reception.REPLAYED
    assert len(store.recent(10).result()) == 1


def test_forgotten_bodies_are_still_known(store: Deliveries) -> None:
    """What is over is deleted after its time, what waits is not; a deleted body is not taken a second time."""
    store.receive(arrival(1)).result()
    store.receive(arrival(2)).result()
    for run in store.due(200.0, 2).result():
        store.set_run(run, RunState.STARTED, flow_run="x").result()

    assert store.forget(1000.0).result() == 1
    assert [found.id for found in store.recent(10).result()] == ["delivery-2"]
    assert store.receive(arrival(1)).result().reception is Reception.REPEATED
    assert store.receive(arrival(3, body=arrival(1).body)).result().reception is Reception.REPLAYED


def test_held_runs(store: Deliveries) -> None:
    """Allowing a commit frees the held runs of that commit in that pull request, and no others."""
    store.receive(arrival(1, of=starts(7, "ci"))).result()
    store.receive(arrival(2, of=starts(7, "ci", commit="b" * 40))).result()
    store.receive(arrival(3, of=starts(8, "ci"))).result()
    for run in store.due(200.0, 10).result():
        store.set_run(run, RunState.HELD, reason="a stranger's").result()
    freed = store.allow("Acme/Shop", 7, COMMIT, "ada").result()
    (run,) = store.due(200.0, 10).result()

    assert (freed, run.delivery) == (1, "delivery-1")
    assert store.is_allowed(run).result()


def test_redelivery(store: Deliveries) -> None:
    """A delivery done once more gets new keys, so that Prefect does not give the old run."""
    store.receive(arrival(1, of=starts(0, "ci"))).result()
    (before,) = store.due(200.0, 10).result()
    store.set_run(before, RunState.STARTED, flow_run="old").result()

    assert store.redeliver("delivery-1").result()
    assert not store.redeliver("delivery-9").result()
    (after,) = store.due(200.0, 10).result()
    assert before.idempotency_key != after.idempotency_key
    assert after.run == ""


def test_failing_work_takes_no_other_with_it(store: Deliveries) -> None:
    """Of several writes in one commit only the one that fails is lost, and it says so."""
    bad = store._store.ask(lambda db: db.execute("INSERT INTO nowhere VALUES (1)"))
    good = store.receive(arrival())

    assert good.result().reception is Reception.NEW
    with pytest.raises(sqlite3.Error):
        bad.result()


def test_questions_taken_back(store: Deliveries) -> None:
    """Who stops waiting for his answer ends nothing for the others, whenever he does."""
    for number in range(200):
        store.backlog().cancel()
        assert store.receive(arrival(number)).result(timeout=30).reception is Reception.NEW


def test_file_that_is_no_store(tmp_path: Path) -> None:
    """A file of something else is refused in one line and stays as it is."""
    (tmp_path / "deliveries.db").write_text("notes of mine, not a database at all, and longer than a header" * 20)
    with pytest.raises(StoreBroken, match="cannot be opened"):
        Deliveries(tmp_path / "deliveries.db")


Steps = st.lists(st.one_of(st.integers(0, 4), st.sampled_from(["hand over", "die before noting", "restart"])))


@settings(max_examples=60, deadline=None)
@given(Steps)
def test_each_once(steps: list[int | str]) -> None:
    """However receptions, hand-overs and crashes follow one another, each delivery ends as one run per deployment."""
    server: dict[str, str] = {}
    received: set[int] = set()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deliveries.db"
        store = Deliveries(path)
        for step in [*steps, *["hand over"] * 20]:
            match step:
                case int():
                    taken = store.receive(arrival(step)).result()
                    assert (taken.reception is Reception.NEW) == (step not in received)
                    received.add(step)
                case "restart":
                    store.close()
                    store = Deliveries(path)
                case _:
                    for run in store.due(1000.0, 1).result():
                        flow_run = server.setdefault(run.idempotency_key, f"run {len(server)}")
                        if step == "hand over":
                            store.set_run(run, RunState.STARTED, flow_run=flow_run).result()
        counted = Counter(key.split(":")[0] for key in server)
        assert store.backlog().result().count == 0
        store.close()
    assert {f"delivery-{number}": 2 for number in received} == counted
