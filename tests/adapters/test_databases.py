"""The database of an environment: revisions, migrations and the way back, on real SQLite files and real commands."""

import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.adapters.databases import (
    LocalDatabase,
    back_up,
    downgrade,
    has_same_schema,
    local_database_of,
    migrate,
    restore,
    schema_revision,
)
from tasks.adapters.grounds import Ground
from tasks.core.database import DatabaseTrouble
from tasks.core.delivery import DeliverySettings
from tasks.core.delivery_settings import DatabaseSettings
from tests.core.deliveries import a_release

SCRIPT = """
import os, sqlite3, sys
path = os.environ["DATABASE_URL"].removeprefix("sqlite:///")
with sqlite3.connect(path) as base:
    base.execute("CREATE TABLE IF NOT EXISTS version (revision TEXT)")
    if sys.argv[1] == "revision":
        print("a line of log")
        print((base.execute("SELECT revision FROM version").fetchone() or [""])[0])
    else:
        base.execute("DELETE FROM version")
        base.execute("INSERT INTO version VALUES (?)", [sys.argv[-1]])
        base.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER)")
"""


@pytest.fixture
def database(tmp_path: Path) -> LocalDatabase:
    ground = Ground(tmp_path, "shop", "production")
    folder = tmp_path / "artifact"
    folder.mkdir()
    (folder / "base.py").write_text(SCRIPT)
    run = (sys.executable, "base.py")
    settings = DatabaseSettings(
        component="backend",
        url="DATABASE_URL",
        migrate=(*run, "migrate", "0002"),
        revision=(*run, "revision"),
        downgrade=(*run, "downgrade"),
        kept_backups=2,
    )
    return LocalDatabase(settings, ground, folder, ground.data, {"DATABASE_URL": f"sqlite:///{ground.data}/a shop.db"})


async def test_a_schema_forward_and_back(database: LocalDatabase, tmp_path: Path) -> None:
    """The revision is the last line that the command prints; migrations and downgrades change it."""
    log = tmp_path / "logs" / "schema.log"
    database.ground.data.mkdir(parents=True)

    assert await schema_revision(database, log=log) == ""
    await migrate(database, log=log)
    assert await schema_revision(database, log=log) == "0002"
    await downgrade(database, "0001", log=log)
    assert await schema_revision(database, log=log) == "0001"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('a b')", "must print one word"),
        ("raise SystemExit('no such table')", "exit code 1: no such table"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("import time; time.sleep(60)", "stopped after its 1 s"),
    ],
)
async def test_a_command_that_fails(database: LocalDatabase, tmp_path: Path, code: str, said: str) -> None:
    """A command that fails, hangs or says something else is trouble with its last words, never an empty revision."""
    settings = database.settings.model_copy(update={"revision": (sys.executable, "-c", code), "timeout_seconds": 1.0})
    broken = replace(database, settings=settings)

    with pytest.raises(DatabaseTrouble, match=said):
        await schema_revision(broken, log=tmp_path / "revision.log")


async def test_a_backup_is_whole_and_can_be_put_back(database: LocalDatabase, tmp_path: Path) -> None:
    """A backup made while the database is in use holds what was committed, and a restore keeps what it replaces."""
    log = tmp_path / "log"
    await migrate(database, log=log)
    assert database.file is not None
    with closing(sqlite3.connect(database.file)) as used:
        used.execute("INSERT INTO orders VALUES (1)")
        used.commit()
        backup = back_up(database, name="before")
        used.execute("INSERT INTO orders VALUES (2)")
        used.commit()
        assert backup is not None
        assert has_same_schema(database, backup)
        used.execute("CREATE TABLE half (id INTEGER)")
        assert not has_same_schema(database, backup)
        kept = restore(database, backup)

        assert has_same_schema(database, backup)
        assert used.execute("SELECT count(*) FROM orders").fetchone() == (1,)
    with closing(sqlite3.connect(kept)) as before:
        assert before.execute("SELECT count(*) FROM orders").fetchone() == (2,)


def test_no_database_yet(database: LocalDatabase) -> None:
    """Before the first migration there is nothing to back up, and that is said."""
    assert back_up(database, name="before") is None


def test_a_database_that_is_none(database: LocalDatabase) -> None:
    """What SQLite cannot read is not backed up as if it could, and nothing is left of the attempt."""
    assert database.file is not None
    database.ground.data.mkdir(parents=True)
    database.file.write_bytes(b"not a database at all" * 100)

    with pytest.raises(DatabaseTrouble, match="could not be backed up"):
        back_up(database, name="before")

    assert list(database.backups.glob("*.db")) == []


def test_another_kind_of_database(database: LocalDatabase) -> None:
    """A database that the local platform cannot back up is refused before anything is changed."""
    other = replace(database, variables={"DATABASE_URL": "postgresql://shop@db/shop"})

    with pytest.raises(DatabaseTrouble, match="no sqlite:/// address"):
        back_up(other, name="before")


async def test_old_backups_go(database: LocalDatabase, tmp_path: Path) -> None:
    """Only so many backups are kept as the team wants, and what a restore has replaced is never thrown away."""
    await migrate(database, log=tmp_path / "log")
    first = back_up(database, name="zero")
    assert first is not None
    kept = restore(database, first)
    for name in ("one", "two", "three"):
        back_up(database, name=name)

    assert sorted(path.stem for path in database.backups.glob("*.db")) == ["three", "two", kept.stem]


def test_variables_of_the_release(tmp_path: Path) -> None:
    """The commands see the component's variables with the environment's own over them, and folders filled in."""
    delivery = DeliverySettings.model_validate(
        {
            "components": {"backend": {"command": ["serve"], "environment": {"A": "{data}", "B": "1"}}},
            "database": {"component": "backend", "url": "A", "migrate": ["m"], "revision": ["r"]},
        }
    )
    release = a_release("v1", configuration={"backend": {"B": "2"}})

    found = local_database_of(delivery, release, Ground(tmp_path, "shop", "staging"))

    assert found is not None
    assert found.variables == {"A": str(tmp_path / "delivery/shop/staging/data"), "B": "2"}
    assert local_database_of(DeliverySettings(), release, Ground(tmp_path, "shop", "staging")) is None
