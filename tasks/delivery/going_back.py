"""Finding the release to go back to, and making sure that it could run there."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters import databases
from tasks.adapters.artifacts import BuildFailed, artifact_folder, read_settings
from tasks.adapters.databases import DatabaseTrouble
from tasks.adapters.grounds import Ground, NameRefused
from tasks.adapters.ledger import find_record, read_records
from tasks.core.delivery_settings import Migrations
from tasks.core.platform import PlatformTrouble
from tasks.core.records import Ending, Kind, Record, current_of
from tasks.core.release import Release
from tasks.core.schema import why_not_on
from tasks.delivery.change import Asked, Change, step
from tasks.delivery.starting import longest_seconds
from tasks.opening import OpenRun
from tasks.retrying import BadInput, NotAllowed, PermanentError

_PREVIOUS = "previous"


@task(name="find record", task_run_name="find record", cache_policy=NO_CACHE)
async def find_recorded(
    run: OpenRun, target: str, environment: str, wanted: str, who: str, why: str, wait_seconds: float
) -> Asked:
    """The change that puts the recorded release back. Raises BadInput or PermanentError."""
    try:
        ground = Ground(run.state, target, environment)
        record = _record(ground, wanted)
        delivery = read_settings(run.state, record.release.artifact)
    except NameRefused as refused:
        raise BadInput(str(refused)) from refused
    except (PlatformTrouble, BuildFailed) as trouble:
        raise PermanentError(str(trouble)) from trouble
    return Asked(
        kind=Kind.ROLLBACK,
        ground=ground,
        release=record.release,
        delivery=delivery,
        who=who,
        why=why or f"back to record {record.number}",
        run=run.run_id,
        folder=run.folder(f"{target}-rollback"),
        longest_seconds=longest_seconds(Kind.ROLLBACK, delivery),
        wait_seconds=wait_seconds,
    )


def _record(ground: Ground, wanted: str) -> Record:
    records = read_records(ground)
    if not records:
        raise BadInput(f"{ground.target} has no record in {ground.environment}: towpath status shows what there is")
    found = _before(records) if wanted == _PREVIOUS else find_record(ground, wanted)
    if found is None:
        raise BadInput(
            f"{ground.environment} has no record of {wanted}: towpath history {ground.environment} lists them"
        )
    if found.ending is not Ending.RELEASED:
        raise BadInput(f"record {found.number} is no release that ran: it was {found.ending}; choose another")
    return found


def _before(records: tuple[Record, ...]) -> Record | None:
    """The last release that was stable before the present one."""
    current = current_of(records)
    if current is None:
        return None
    earlier = [each for each in records if each.number < current.number]
    others = [each for each in earlier if each.release.digest != current.release.digest]
    return current_of(others)


@task(name="schema", task_run_name="schema", cache_policy=NO_CACHE)
async def prepare_schema(change: Change) -> None:
    """Refuse, or undo migrations where they are declared reversible. Raises PermanentError."""
    if not artifact_folder(change.ground.state, change.release.artifact).is_dir():
        raise PermanentError(f"{change.release.version} is not on this machine any more: build it again")
    if (database := change.database) is None:
        return
    async with step(change, "schema") as saying:
        wanted = change.release.schema_revision
        try:
            now = await databases.schema_revision(database, log=change.log_of("schema-now"))
            if refusal := why_not_on(database.settings.migrations, wanted=wanted, now=now):
                raise NotAllowed(f"{change.release.version} cannot go back: {refusal}")
            if now != wanted and database.settings.migrations is Migrations.REVERSIBLE:
                newest = _with_newest_migrations(change)
                await databases.downgrade(newest, wanted, log=change.log_of("downgrade"))
        except DatabaseTrouble as trouble:
            raise PermanentError(str(trouble)) from trouble
        saying.text = (
            f"schema {now}" if now == wanted else f"schema {now}, recorded {wanted}: {database.settings.migrations}"
        )


def _with_newest_migrations(change: Change) -> databases.Database:
    """The present release's commands: only it knows the migrations that are to be undone."""
    present: Release = change.replaced or change.release
    found = databases.database_of(change.delivery, present, change.ground)
    assert found is not None, "the caller has looked"
    return found
