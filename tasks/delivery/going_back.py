"""Finding the release to go back to, and making sure that it could run there."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.artifacts import BuildFailed, read_settings
from tasks.adapters.grounds import Ground, NameRefused
from tasks.adapters.platforms.choosing import database_of, safekeeping_of
from tasks.core.database import Database, DatabaseTrouble
from tasks.core.delivery_settings import Migrations
from tasks.core.platform import PlatformTrouble
from tasks.core.records import Ending, Kind, Record, current_of
from tasks.core.release import Release
from tasks.core.safekeeping import found_in
from tasks.core.schema import why_not_on
from tasks.delivery.change import Asked, Change, promise_of_database, refuse_unknown_environment, step
from tasks.delivery.migrating import back_up
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
        ledger = safekeeping_of(ground).ledger
        records = await ledger.records()
        record = _record(ground, records, wanted)
        for needed in filter(None, (record, current_of(records))):
            await ledger.fetch_build(needed.release.artifact)
        delivery = read_settings(run.state, record.release.artifact)
        refuse_unknown_environment(delivery, environment)
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


def _record(ground: Ground, records: tuple[Record, ...], wanted: str) -> Record:
    if not records:
        raise BadInput(f"{ground.target} has no record in {ground.environment}: towpath status shows what there is")
    found = _before(records) if wanted == _PREVIOUS else found_in(records, wanted)
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
    """Refuse, or undo migrations where they are declared reversible. Raises PermanentError.

    The present release is asked what its migrations are, and its commands undo them: the older one does not know them.
    """
    present = _present_database(change)
    if present is None:
        return
    async with step(change, "schema") as saying:
        wanted = change.release.schema_revision
        try:
            now = await present.schema_revision(log=change.log_of("schema-now"))
            if refusal := why_not_on(present.settings.migrations, wanted=wanted, now=now):
                raise NotAllowed(f"{change.release.version} cannot go back: {refusal}")
            if now != wanted and present.settings.migrations is Migrations.REVERSIBLE:
                await _downgrade(change, present, now=now, wanted=wanted)
        except DatabaseTrouble as trouble:
            raise PermanentError(str(trouble)) from trouble
        same = now == wanted
        saying.text = f"schema {now}" if same else f"schema {now}, recorded {wanted}: {present.settings.migrations}"


def _present_database(change: Change) -> Database | None:
    """The database as the present release sees it; as the recorded one does where nothing else is known."""
    present: Release = change.replaced or change.release
    try:
        delivery = read_settings(change.ground.state, present.artifact)
    except BuildFailed:
        present, delivery = change.release, change.delivery
    return database_of(delivery, present, change.ground)


async def _downgrade(change: Change, present: Database, *, now: str, wanted: str) -> None:
    """With a backup first, and the way forward known, should the older release not come up."""
    await back_up.fn(change)
    change.schema_before, change.forward = now, present
    await promise_of_database(change, present.settings.migrations)
    await present.downgrade(wanted, log=change.log_of("downgrade"))
