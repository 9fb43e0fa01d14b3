"""An environment's database: its schema's revision, migrations, and a way back.

Migrations, revision and downgrade are the target's own commands, run with the variables its instances get, one at a
time, with a deadline, their output kept. An SQLite database is backed up and restored by SQLite itself while others
use it. A backup that could not be read back was not made.
"""

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from tasks.adapters.artifacts import artifact_folder
from tasks.adapters.grounds import Ground
from tasks.adapters.locks import wait_for_lock
from tasks.adapters.process import Command, Ending, run
from tasks.adapters.rehearsals import Stage, rehearsed_on
from tasks.adapters.withheld import SecretMissing, with_secrets
from tasks.core.database import DatabaseTrouble, Rehearsal
from tasks.core.delivery import DeliverySettings
from tasks.core.delivery_settings import ComponentSettings, DatabaseSettings
from tasks.core.placeholders import filled_values, filled_words
from tasks.core.prose import last_line
from tasks.core.release import Release

_SQLITE = "sqlite:///"
_BEFORE_RESTORE = "-before-restore-"


@dataclass(frozen=True)
class LocalDatabase:
    """The database of one environment, as one release sees it."""

    settings: DatabaseSettings
    ground: Ground
    folder: Path
    data: Path
    variables: Mapping[str, str]

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for any other database."""
        url = self.variables.get(self.settings.url, "")
        return Path(unquote(url.removeprefix(_SQLITE))) if url.startswith(_SQLITE) else None

    @property
    def backups(self) -> Path:
        return self.ground.folder / "backups"

    async def schema_revision(self, *, log: Path) -> str:
        return await schema_revision(self, log=log)

    async def migrate(self, *, log: Path) -> None:
        await migrate(self, log=log)

    async def downgrade(self, revision: str, *, log: Path) -> None:
        await downgrade(self, revision, log=log)

    async def back_up(self, *, name: str, log: Path) -> str:
        del log
        copy = await asyncio.to_thread(back_up, self, name=name)
        return str(copy) if copy else ""

    def rehearsed(
        self, backup: str, previous: Release, component: ComponentSettings, *, log: Path
    ) -> AbstractAsyncContextManager[Rehearsal]:
        def leading(folder: Path) -> dict[str, str]:
            return {self.settings.url: f"{_SQLITE}{folder / 'rehearsal.db'}"}

        def placed(folder: Path) -> LocalDatabase:
            _copy(Path(backup), folder / "rehearsal.db")
            return replace(self, data=folder, variables={**self.variables, **leading(folder)})

        stage = Stage(self.ground, self.settings.component, component, previous)
        return rehearsed_on(stage, placed, leading, log=log)

    async def has_same_schema(self, backup: str, *, log: Path) -> bool:
        del log
        return await asyncio.to_thread(has_same_schema, self, Path(backup))

    async def restore(self, backup: str, *, log: Path) -> str:
        del log
        return str(await asyncio.to_thread(restore, self, Path(backup)))


def local_database_of(delivery: DeliverySettings, release: Release, ground: Ground) -> LocalDatabase | None:
    """The database that the release uses in the environment; None when the target declares none."""
    if delivery.database is None:
        return None
    folder = artifact_folder(ground.state, release.artifact)
    name = delivery.database.component
    variables = dict(delivery.components[name].environment) | dict(release.configuration.get(name, {}))
    values = {"artifact": str(folder), "data": str(ground.data)}
    return LocalDatabase(delivery.database, ground, folder / name, ground.data, filled_values(variables, values))


async def schema_revision(database: LocalDatabase, *, log: Path) -> str:
    """The one word on the last line that the revision command prints; empty for a database without a schema."""
    said = await _command(database, database.settings.revision, log=log, what="tell its revision")
    last = (said.splitlines() or [""])[-1].strip()
    if len(last.split()) > 1:
        raise DatabaseTrouble(f"the revision command must print one word on its last line, not {last[:80]!r}")
    return last


async def migrate(database: LocalDatabase, *, log: Path) -> None:
    """Bring the schema to the release's revision. One at a time for each environment. Raises DatabaseTrouble."""
    database.data.mkdir(parents=True, exist_ok=True)
    async with wait_for_lock(database.ground.folder / "migration.lock"):
        await _command(database, database.settings.migrate, log=log, what="be migrated")


async def downgrade(database: LocalDatabase, revision: str, *, log: Path) -> None:
    if not database.settings.downgrade:
        raise DatabaseTrouble("the target declares its migrations reversible and names no downgrade command")
    async with wait_for_lock(database.ground.folder / "migration.lock"):
        await _command(database, (*database.settings.downgrade, revision), log=log, what=f"go back to {revision}")


async def _command(database: LocalDatabase, words: tuple[str, ...], *, log: Path, what: str) -> str:
    values = {"artifact": str(database.folder.parent), "data": str(database.data)}
    output = log.with_suffix(".out")
    done = await run(
        Command(
            argv=filled_words(words, values),
            directory=database.folder,
            log=log,
            stdout=output,
            timeout_seconds=database.settings.timeout_seconds,
            environment=_variables(database),
        )
    )
    if done.ending is not Ending.EXITED or done.exit_code != 0:
        last = last_line(done.tail)
        why = done.detail or f"exit code {done.exit_code}: {last[:200]}"
        raise DatabaseTrouble(f"the database of {database.ground.environment} could not {what}: {why}; see {log}")
    return output.read_text("utf-8", "replace")


def _variables(database: LocalDatabase) -> dict[str, str]:
    try:
        return with_secrets(database.variables, database.ground.folder)
    except SecretMissing as missing:
        raise DatabaseTrouble(str(missing)) from missing


def back_up(database: LocalDatabase, *, name: str) -> Path | None:
    """A whole copy, read back once; None when there is no database yet. Raises DatabaseTrouble."""
    file = database.file
    if file is None:
        raise DatabaseTrouble(
            f"{database.settings.url} is no sqlite:/// address, and the local platform backs up nothing else"
        )
    if not file.exists():
        return None
    database.backups.mkdir(parents=True, exist_ok=True)
    copy = database.backups / f"{name}.db"
    try:
        _copy(file, copy)
        _read_back(file, copy)
    except (sqlite3.Error, OSError) as broken:
        copy.unlink(missing_ok=True)
        raise DatabaseTrouble(f"{file} could not be backed up to {copy}: {broken}") from broken
    _forget_old(database)
    return copy


def restore(database: LocalDatabase, backup: Path) -> Path:
    """Put a backup back into the live database; returns where what was there before has been kept."""
    file = database.file
    assert file is not None, "only what was backed up is restored"
    kept = backup.with_name(f"{backup.stem}{_BEFORE_RESTORE}{time.time_ns()}.db")
    try:
        _copy(file, kept)
        _copy(backup, file)
    except (sqlite3.Error, OSError) as broken:
        raise DatabaseTrouble(f"{backup} could not be put back into {file}: {broken}") from broken
    return kept


def has_same_schema(database: LocalDatabase, backup: Path) -> bool:
    """Whether the live database has the tables, columns and indexes of its backup."""
    return database.file is not None and _definitions(database.file) == _definitions(backup)


def _definitions(file: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(file, timeout=30)) as opened:
        rows = opened.execute("SELECT name, sql FROM sqlite_master")
        return {(str(name), str(text)) for name, text in rows}


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source, timeout=30)) as old, closing(sqlite3.connect(target, timeout=30)) as new:
        old.backup(new)


def _read_back(file: Path, copy: Path) -> None:
    """The copy is sound, and has the tables of the original."""
    with closing(sqlite3.connect(copy)) as opened:
        if (said := opened.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            raise OSError(f"the copy is damaged: {said}")
        copied = _tables(opened)
    with closing(sqlite3.connect(file)) as opened:
        if lost := _tables(opened) - copied:
            raise OSError(f"the copy lacks {', '.join(sorted(lost))}")


def _tables(opened: sqlite3.Connection) -> set[str]:
    return {str(row[0]) for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _forget_old(database: LocalDatabase) -> None:
    # NOTE: what a restore has replaced may be the only copy of what people wrote: a person deletes that.
    backups = [path for path in database.backups.glob("*.db") if _BEFORE_RESTORE not in path.name]
    files = sorted(backups, key=lambda path: path.stat().st_mtime, reverse=True)
    for old in files[database.settings.kept_backups :]:
        old.unlink()
