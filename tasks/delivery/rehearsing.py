"""Whether the release that runs now bears the schema of the next one, before that schema is made.

While a release is rolled out, and after it is taken back, the old code meets the new schema: a migration that takes
away what the old code reads must come one release later. Nobody knows from reading, so the old release's own tests
run against the old release on a migrated copy of the backup.
"""

from contextlib import AsyncExitStack

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.core.database import DatabaseTrouble, SchemaUnbearable
from tasks.core.release import Release
from tasks.delivery.change import Change, step
from tasks.delivery.request import DeliveryRequest
from tasks.delivery.verifying import run_tests
from tasks.preparing import checkout, configure
from tasks.retrying import PermanentError
from tasks.workplace import Workplace

_REMEDY = "make it in two releases: first what both can use, then, when the old one is gone, what it had needed"


@task(name="n minus 1", task_run_name="n minus 1", cache_policy=NO_CACHE)
async def rehearse(change: Change, place: Workplace, request: DeliveryRequest) -> None:
    """The release that runs passes its own tests on a migrated copy. Raises PermanentError; nothing was changed yet."""
    previous = change.replaced
    if change.database is None or previous is None or not change.backup:
        return
    async with step(change, "n minus 1") as saying:
        if why := _left_out(change):
            saying.text = why
            return
        async with AsyncExitStack() as held:
            saying.text = await _rehearsed(held, change, previous, place, request)


def _left_out(change: Change) -> str:
    wanted = change.delivery.database
    if wanted is not None and not wanted.n_minus_1:
        return "not tried: delivery.database.n_minus_1 is false"
    has_tests = change.delivery.tests.command or (wanted is not None and wanted.n_minus_1_tests)
    return "" if has_tests else "not tried: the target declares no tests"


async def _rehearsed(
    held: AsyncExitStack, change: Change, previous: Release, place: Workplace, request: DeliveryRequest
) -> str:
    database = change.database
    assert database is not None, "asked before"
    wanted, log = database.settings, change.log_of("n-minus-1")
    component = change.delivery.components[wanted.component]
    try:
        copy = await held.enter_async_context(database.rehearsed(change.backup, previous, component, log=log))
    except SchemaUnbearable as unbearable:
        raise PermanentError(f"{unbearable}; {_REMEDY}") from unbearable
    except DatabaseTrouble as trouble:
        raise PermanentError(f"on a copy of the database: {trouble}") from trouble
    if not copy.url:
        return f"schema {copy.after}, nothing to migrate"
    command = wanted.n_minus_1_tests or change.delivery.tests.command
    before = await _place_of(held, previous, place, request)
    try:
        said = await run_tests(change, before, command, url=copy.url, name="n-minus-1-tests")
    except PermanentError as failed:
        broken = f"the migration {copy.before} -> {copy.after} breaks {previous.version}, which still runs: {failed}"
        raise PermanentError(f"{broken}; {_REMEDY}") from failed
    return f"{previous.version} runs on schema {copy.after}: {said}"


async def _place_of(held: AsyncExitStack, previous: Release, place: Workplace, request: DeliveryRequest) -> Workplace:
    """The previous release's own tree, with its own tests."""
    snapshot = await checkout(held, request.target, previous.revision, place.state)
    return Workplace(
        snapshot=snapshot,
        settings=configure(snapshot, request.overrides),
        state=place.state,
        folder=place.folder,
        run_id=place.run_id,
        started=place.started,
        tier=place.tier,
        overrides=place.overrides,
    )
