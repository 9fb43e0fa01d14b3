"""The database's part of a change: a backup first, migrations once, and the way back.

What the database was before is known before anything is done to it. When the change fails, what was declared of the
migrations decides: compatible ones stay, reversible ones are undone, and for all others the backup is put back, since
the release that stays could not run on the new schema.
"""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.grounds import Ground
from tasks.adapters.platforms.choosing import safekeeping_for
from tasks.core.database import Database, DatabaseTrouble
from tasks.core.delivery_settings import Migrations
from tasks.delivery.change import Change, must_be_permitted, promise_of_database, step
from tasks.retrying import NotAllowed, PermanentError


@task(name="backup", task_run_name="backup", cache_policy=NO_CACHE)
async def back_up(change: Change) -> None:
    """A copy of the database that was read back. Raises PermanentError, and then nothing was changed yet."""
    if (database := change.database) is None:
        return
    async with step(change, "backup") as saying:
        name = f"{change.started:%Y%m%d-%H%M%S}-before-{change.release.version}"
        try:
            change.backup = await database.back_up(name=name, log=change.log_of("backup"))
        except DatabaseTrouble as trouble:
            raise PermanentError(str(trouble)) from trouble
        saying.text = change.backup or "there is no database yet"


@task(name="migrate", task_run_name="migrate", cache_policy=NO_CACHE)
async def migrate(change: Change) -> None:
    """Bring the schema to the release's revision, once, before any of its instances starts."""
    if (database := change.database) is None:
        return
    async with step(change, "migrate") as saying:
        try:
            change.schema_before = await _revision(change, database, "before")
            await promise_of_database(change, database.settings.migrations)
            change.is_migrating = True
            await database.migrate(log=change.log_of("migrate"))
            change.is_migrating = False
            after = await _revision(change, database, "after")
            if after == change.schema_before:
                await promise_of_database(change, None)
        except DatabaseTrouble as trouble:
            raise PermanentError(str(trouble)) from trouble
        change.release = change.release.model_copy(update={"schema_revision": after})
        before = change.schema_before or "nothing"
        saying.text = f"schema {before} -> {after}" if before != after else f"schema {after}, nothing to do"


@task(name="migrate beside", task_run_name="migrate beside", cache_policy=NO_CACHE)
async def migrate_beside(change: Change) -> None:
    """For a canary: two releases will use one schema. Raises PermanentError where the stable one could not."""
    if (database := change.database) is None:
        return
    if database.settings.migrations is Migrations.COMPATIBLE:
        await migrate(change)
        return
    async with step(change, "schema") as saying:
        try:
            now = await _revision(change, database, "before")
        except DatabaseTrouble as trouble:
            raise PermanentError(str(trouble)) from trouble
        if (wanted := await _schema_in_staging(change)) != now:
            raise NotAllowed(
                f"{change.release.version} needs schema {wanted or 'unknown'}, the stable release runs on {now}, and "
                "its migrations are not declared compatible: release it with towpath production"
            )
        change.release = change.release.model_copy(update={"schema_revision": now})
        saying.text = f"schema {now}, the same for both"


async def _schema_in_staging(change: Change) -> str:
    ground = Ground(change.ground.state, change.ground.target, change.delivery.staging)
    records = await safekeeping_for(ground, change.delivery).ledger.records()
    same = [each for each in records if each.release.artifact == change.release.artifact]
    return same[-1].release.schema_revision if same else ""


async def _revision(change: Change, database: Database, moment: str) -> str:
    return await database.schema_revision(log=change.log_of(f"schema-{moment}"))


async def undo_migration(change: Change) -> None:
    """Leave the stable release a schema it runs on. Raises PermanentError that says what a person must do."""
    database, before = change.database, change.schema_before
    if database is None or before is None or change.replaced is None:
        return
    async with step(change, "undo migration") as saying:
        try:
            saying.text = await _go_back(change, database, before)
        except (DatabaseTrouble, OSError) as trouble:
            raise PermanentError(f"{trouble}; the backup is {change.backup}") from trouble


async def _go_back(change: Change, database: Database, before: str) -> str:
    now = await _revision(change, database, "failed")
    if now == before:
        return await _mend_half_a_migration(change, database, before)
    await must_be_permitted(change)
    if change.forward is not None:
        await change.forward.migrate(log=change.log_of("migrate-again"))
        return f"schema {now} -> {before}, as the release needs that stays"
    match database.settings.migrations:
        case Migrations.COMPATIBLE:
            return f"schema stays at {now}: its migrations are declared compatible with older releases"
        case Migrations.REVERSIBLE:
            await database.downgrade(before, log=change.log_of("downgrade"))
            return f"schema {now} -> {before}"
        case Migrations.FORWARD:
            return await _restore(change, database, before)


async def _mend_half_a_migration(change: Change, database: Database, before: str) -> str:
    """A migration that was cut short may have changed tables and not yet the revision."""
    if not change.is_migrating or not change.backup:
        return f"schema {before}, nothing to undo"
    if await database.has_same_schema(change.backup, log=change.log_of("schema-compared")):
        return f"schema {before}, nothing to undo"
    await must_be_permitted(change)
    return await _restore(change, database, before)


async def _restore(change: Change, database: Database, before: str) -> str:
    if not change.backup:
        raise DatabaseTrouble(f"the schema cannot go back to {before}: there is no backup of before")
    kept = await database.restore(change.backup, log=change.log_of("restore"))
    return f"the backup was put back, schema {before}; what was written since is in {kept}"
