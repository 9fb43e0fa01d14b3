"""Looking at a release that has the traffic: through the router as its users do, by its own tests, and over time."""

import asyncio
import os

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.intents import machine_seconds
from tasks.adapters.probing import ask
from tasks.adapters.process import Command, Ending, run
from tasks.core.placeholders import filled_values
from tasks.core.platform import Role
from tasks.core.prose import last_line
from tasks.core.verification import settle
from tasks.delivery.change import Change, step
from tasks.delivery.rolling import told_plainly
from tasks.planning import plan_snapshot
from tasks.preparing import prepare_environment
from tasks.retrying import PermanentError
from tasks.workplace import Workplace

_HEALTH_SECONDS = 15.0
_HEALTH_POLL_SECONDS = 0.25
_ANSWERS_IN_A_ROW = 3


@task(name="health", task_run_name="health", cache_policy=NO_CACHE)
async def check_health(change: Change) -> None:
    """Each component answers 200 through the router, several times in a row. Raises PermanentError."""
    async with step(change, "health") as saying:
        running = [name for name, number in change.release.replicas.items() if number]
        for name in running:
            await _must_answer(name, f"{change.url}{change.delivery.components[name].ready_path}")
        saying.text = f"{', '.join(running)} answer at {change.url}"


async def _must_answer(name: str, url: str) -> None:
    deadline, good = machine_seconds() + _HEALTH_SECONDS, 0
    while good < _ANSWERS_IN_A_ROW:
        answered = await ask(url)
        good = good + 1 if answered.status == 200 else 0
        if not good and machine_seconds() >= deadline:
            said = answered.trouble or f"it answered {answered.status}"
            raise PermanentError(f"{name} is not healthy at {url}: {said}")
        # NOTE: three answers at the same moment would be one.
        await asyncio.sleep(_HEALTH_POLL_SECONDS)


@task(name="target tests", task_run_name="target tests", cache_policy=NO_CACHE)
async def run_target_tests(change: Change, place: Workplace) -> None:
    """The target's own tests against the environment's address. Raises PermanentError."""
    tests = change.delivery.tests
    if not tests.command:
        return
    async with step(change, "target tests") as saying:
        saying.text = await run_tests(change, place, tests.command, url=change.url, name="target-tests")


async def run_tests(change: Change, place: Workplace, command: tuple[str, ...], *, url: str, name: str) -> str:
    """The last line that tests of a tree say against an address. Raises PermanentError."""
    tests, log = change.delivery.tests, change.log_of(name)
    path = [str(folder) for folder in await _programs(place, tests.directory)]
    variables = filled_values(tests.environment, {"url": url})
    done = await run(
        Command(
            argv=command,
            directory=place.snapshot.tree / tests.directory,
            log=log,
            timeout_seconds=tests.timeout_seconds,
            environment={"PATH": os.pathsep.join([*path, os.environ.get("PATH", os.defpath)]), **variables},
        )
    )
    last = last_line(done.tail) or "it said nothing"
    if done.ending is not Ending.EXITED or done.exit_code != 0:
        why = done.detail or f"exit code {done.exit_code}: {last[:200]}"
        raise PermanentError(f"the target's tests failed: {why}; see {log}")
    return last[:200]


async def _programs(place: Workplace, directory: str) -> list[object]:
    """Where the programs of the project are that the tests belong to, as CI has installed them."""
    plan = plan_snapshot(place.snapshot, place.settings)
    wanted = [each for each in plan.environments if directory.rstrip("/") in each.folders]
    return [(await prepare_environment(each, place)).binaries for each in wanted]


@task(name="verify", task_run_name="verify", cache_policy=NO_CACHE)
async def verify(change: Change) -> None:
    """For some seconds every instance stays ready and few enough requests fail. Raises PermanentError."""
    wanted = change.delivery.verification
    async with step(change, "verify") as saying:
        before = await told_plainly(change.platform.snapshot(change.ground.environment))
        # NOTE: what is looked for here is what shows itself only with time.
        await asyncio.sleep(wanted.settle_seconds)
        after = await told_plainly(change.platform.snapshot(change.ground.environment))
        status = await told_plainly(change.platform.status(change.ground.environment))
        outcome = settle(
            before.canary, after.canary, status.of(Role.CANDIDATE), max_error_percent=wanted.max_error_percent
        )
        if outcome.verdict.blocks:
            raise PermanentError(f"{change.release.version} is not well: {outcome.reason}")
        saying.text = outcome.reason
