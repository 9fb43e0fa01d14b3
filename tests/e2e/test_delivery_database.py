"""Releases with a schema: a migration that breaks, and going back to a release that was made for an older one."""

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tasks.core.records import Ending
from tests.e2e.delivery_stage import Delivered, make_delivered, setting
from tests.e2e.repositories import git
from tests.e2e.stage import Said

pytest_plugins = ["tests.e2e.delivery_fixtures"]
pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

COMMANDS = Path(__file__).with_name("delivery_database.py")
CALL = f'"{sys.executable}", "-S", "-E", "{{artifact}}/web/database.py"'
DATABASE = f"""
[delivery.database]
component = "web"
url = "DATABASE_URL"
migrate = [{CALL}, "migrate", "0001"]
revision = [{CALL}, "revision"]
downgrade = [{CALL}, "downgrade"]
migrations = "forward"
n_minus_1_tests = ["{sys.executable}", "-S", "-E", "look.py"]

[delivery.tests]
environment = {{ URL = "{{url}}" }}
"""
LOOK = """
import os, urllib.request
print(urllib.request.urlopen(os.environ["URL"] + "/notes", timeout=5).status)
"""
NO_GATE = setting("gates", "[]")


def make_books(folder: Path) -> Path:
    """A target with a database, without gates; v2.0.0 brings the schema from 0001 to 0002 and has more instances."""
    make_delivered(folder, name="books", more=DATABASE)
    shutil.copyfile(COMMANDS, folder / "database.py")
    (folder / "look.py").write_text(LOOK)
    way = folder / "towpath.toml"
    way.write_text(
        way.read_text()
        .replace('keep = ["serve.py"]', 'keep = ["serve.py", "database.py"]')
        .replace("drain_seconds = 3", 'drain_seconds = 3\nenvironment = { DATABASE_URL = "sqlite:///{data}/books.db" }')
    )
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=With a database")
    git(folder, "tag", "--force", "v1.0.0")
    newer = way.read_text().replace('"migrate", "0001"', '"migrate", "0002"')
    way.write_text(newer.replace("replicas = { web = 2 }", "replicas = { web = 3 }").replace('"first"', '"second"'))
    git(folder, "commit", "--quiet", "--all", "--message=Second")
    git(folder, "tag", "v2.0.0")
    way.write_text(way.read_text().replace('"migrate", "0002"', '"migrate", "0003"'))
    git(folder, "commit", "--quiet", "--all", "--message=Without what the first had")
    git(folder, "tag", "v3.0.0")
    return folder


@pytest.fixture(scope="module")
def books(delivered_target: Delivered, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    """v1.0.0 in production on schema 0001; v2.0.0 in staging."""
    repository = make_books(tmp_path_factory.mktemp("books") / "books")
    found = Delivered(delivered_target.stage, repository, "books")
    for words in (("cd", "--ref", "v1.0.0", *NO_GATE), ("production", "v1.0.0"), ("cd", "--ref", "v2.0.0", *NO_GATE)):
        said = found.run(*words)
        assert said.exit_code == 0, said.errors
    yield found
    found.end_all()


def database_of(delivered: Delivered) -> Path:
    return delivered.ground.data / "books.db"


def tables_and_revision(delivered: Delivered) -> tuple[set[str], str]:
    with closing(sqlite3.connect(database_of(delivered))) as database:
        names = {str(row[0]) for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return names, str(database.execute("SELECT revision FROM schema").fetchone()[0])


def then_one_line(said: Said, code: int, *reasons: str) -> None:
    assert said.exit_code == code, said
    (line,) = said.errors.splitlines()
    assert [reason for reason in reasons if reason not in line] == [], line


def test_broken_migration(books: Delivered) -> None:
    """A migration that breaks half-way is undone from the backup: schema, data and release are as they were before."""
    before, schema = books.status(), tables_and_revision(books)
    with closing(sqlite3.connect(database_of(books))) as database:
        database.execute("INSERT INTO notes_0001 VALUES ('kept')")
        database.commit()
    broken = books.ground.data / "broken"
    broken.touch()
    said = books.run("production", "v2.0.0")
    broken.unlink()

    record = books.records()[-1]
    assert (said.exit_code, record.ending) == (1, Ending.ROLLED_BACK)
    assert "the migration broke half-way" in record.reason
    assert [each.name for each in record.steps if not each.is_well] == ["migrate"]
    books.when_over(seconds=10)
    assert books.status().stable == before.stable
    assert tables_and_revision(books) == schema
    with closing(sqlite3.connect(database_of(books))) as database:
        assert database.execute("SELECT text FROM notes_0001").fetchall() == [("kept",)]


def test_a_migration_that_breaks_what_runs(books: Delivered) -> None:
    """What takes away a table that the running release reads is refused before anything is migrated, and says why."""
    declared = setting("database.migrations", '"compatible"')
    staged = books.run("cd", "--ref", "v3.0.0", *NO_GATE, *declared)
    before, schema = books.status(), tables_and_revision(books)
    canary = books.run("canary", "--ref", "v3.0.0", *declared)
    books.when_over(seconds=10)
    said = books.run("production", "v3.0.0", *declared)

    assert staged.exit_code == 0, staged.errors
    assert (canary.exit_code, said.exit_code) == (1, 1)
    record = books.records()[-1]
    assert record.ending is Ending.ROLLED_BACK
    assert "the migration 0001 -> 0003 breaks v1.0.0, which still runs" in record.reason
    assert "make it in two releases" in record.reason
    assert [each.name for each in record.steps if not each.is_well] == ["n minus 1"]
    assert (books.status().stable, tables_and_revision(books)) == (before.stable, schema)
    assert list((books.ground.state / "scratch").iterdir()) == []
    books.when_over(seconds=10)


def test_canary_of_another_schema(books: Delivered) -> None:
    """A canary that needs another schema than the stable release has is refused while migrations go only forward."""
    before = tables_and_revision(books)
    said = books.run("canary", "--ref", "v2.0.0")

    assert said.exit_code == 1
    assert "needs schema 0002, the stable release runs on 0001" in said.errors + said.output
    assert tables_and_revision(books) == before
    books.when_over(seconds=10)


def test_back_over_schema(books: Delivered) -> None:
    """Going back over a migration is refused, and the environment goes on as it is."""
    released = books.run("production", "v2.0.0")
    before = books.status()
    refused = books.rollback("v1.0.0")

    assert released.exit_code == 0, released.errors
    assert tables_and_revision(books)[1] == "0002"
    tried = [each.said for record in books.records() for each in record.steps if each.name == "n minus 1"]
    assert tried[-1] == "v1.0.0 runs on schema 0002: 200"
    assert refused.exit_code == 1
    assert "v1.0.0 cannot go back" in refused.errors + refused.output
    assert (books.status().stable, books.status().candidate) == (before.stable, None)
    assert tables_and_revision(books)[1] == "0002"
    books.when_over(seconds=10)


@pytest.mark.parametrize(("migrations", "revision"), [("compatible", "0002"), ("reversible", "0001")])
def test_back_as_declared(books: Delivered, migrations: str, revision: str) -> None:
    """Compatible migrations stay, reversible ones are undone; configuration and number of instances come back whole."""
    declared = setting("database.migrations", f'"{migrations}"')
    for words in (
        ("cd", "--ref", "v1.0.0", *NO_GATE, *declared),
        ("production", "v1.0.0", *declared, "--override", "a test begins anew"),
        ("cd", "--ref", "v2.0.0", *NO_GATE, *declared),
        ("production", "v2.0.0", *declared),
    ):
        said = books.run(*words)
        assert said.exit_code == 0, f"{words}: {said.errors}"
    first = [each for each in books.records() if each.ending is Ending.RELEASED][-2].release
    newer = books.status()
    back = books.rollback("previous")

    assert back.exit_code == 0, back.errors + back.output
    older = books.status()
    assert newer.stable is not None
    assert (newer.stable.replicas["web"], newer.stable.configuration["web"]["LABEL"]) == (3, "second")
    assert older.stable is not None
    assert (older.stable.replicas["web"], older.stable.configuration["web"]["LABEL"]) == (2, "first")
    assert older.stable.digest == first.digest
    assert sum(each.is_ready for each in older.instances if each.version == "v1.0.0") == 2
    assert tables_and_revision(books)[1] == revision
    books.when_over(seconds=10)
