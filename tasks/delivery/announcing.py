"""A change of an environment as a deployment at the forge it comes from: under way, done, or not.

It promises that a deployment which was shown as under way is shown as ended by what the record says, so that the forge
never says more than the audit log. A forge that is away changes nothing of the change.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger

from tasks.adapters.forges import forge_of
from tasks.adapters.ledger import read_records
from tasks.core.forge.words import DeploymentState, ForgeDeployment, ForgeLater, ForgeRefused
from tasks.core.origin import Origin
from tasks.core.records import Ending
from tasks.delivery.change import Change
from tasks.opening import run_page
from tasks.retrying import PermanentError

_MOST_SECONDS = 15.0


@asynccontextmanager
async def announced(origin: Origin | None, change: Change) -> AsyncIterator[None]:
    """Shown as under way until the context ends, and then as the change's record says. Without an origin, nothing."""
    if origin is None:
        yield
        return
    await _quietly(origin, _deployment(change, DeploymentState.IN_PROGRESS))
    try:
        yield
    finally:
        await _quietly(origin, _deployment(change, _ended(change)))


def _ended(change: Change) -> DeploymentState:
    """A change without a record was undone by somebody else, or came to nothing."""
    mine = [record for record in read_records(change.ground) if record.run == change.asked.run]
    is_released = bool(mine) and mine[-1].ending is Ending.RELEASED
    return DeploymentState.SUCCESS if is_released else DeploymentState.FAILURE


def _deployment(change: Change, state: DeploymentState) -> ForgeDeployment:
    return ForgeDeployment(
        key=change.asked.run,
        environment=change.ground.environment,
        state=state,
        description=f"{change.asked.kind} of {change.release.version}",
        details_url=run_page(change.asked.run),
        is_production=change.ground.environment == change.delivery.production,
    )


async def _quietly(origin: Origin, deployment: ForgeDeployment) -> None:
    state = await cast("Awaitable[State[Any]]", announce(origin, deployment, return_state=True))
    if state.is_failed():
        get_run_logger().warning("NOT SHOWN at %s: %s", origin.repository, state.message)


# NOTE: no retries and little patience: the environment is held meanwhile.
@task(name="announce", cache_policy=NO_CACHE)
async def announce(origin: Origin, deployment: ForgeDeployment) -> None:
    """Raises PermanentError."""
    try:
        async with asyncio.timeout(_MOST_SECONDS), forge_of(origin) as forge:
            await forge.write_deployment(origin, deployment)
    except (ForgeLater, ForgeRefused, TimeoutError) as trouble:
        raise PermanentError(str(trouble) or f"the forge took more than {_MOST_SECONDS:g} s") from trouble
