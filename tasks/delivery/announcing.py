"""A change of an environment as a deployment at the forge it comes from: under way, done, or not.

It promises that a deployment which was shown as under way is shown as ended by what the record says, so that the forge
never says more than the audit log; also when the change's process was killed, by whoever looks after the dead. A forge
that is away changes nothing of the change.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.forges import forge_of
from tasks.adapters.shown_changes import ShownChange, ended_state, forget_change, remember_change
from tasks.core.forge.words import DeploymentState, ForgeDeployment, ForgeLater, ForgeRefused
from tasks.core.origin import Origin
from tasks.delivery.change import Change
from tasks.opening import run_page
from tasks.retrying import PermanentError, TemporaryError
from tasks.showing import is_told

_MOST_SECONDS = 15.0


@asynccontextmanager
async def announced(origin: Origin | None, change: Change) -> AsyncIterator[None]:
    """Shown as under way until the context ends, and then as the change's record says. Without an origin, nothing."""
    if origin is None:
        yield
        return
    state, begun = change.ground.state, _deployment(change)
    shown = ShownChange(change.ground.target, origin, begun)
    with suppress(OSError):
        remember_change(state, shown)
    await is_told(announce(origin, begun, return_state=True), origin)
    try:
        yield
    finally:
        ended = replace(begun, state=await ended_state(change.ground, change.asked.run))
        if await is_told(announce(origin, ended, return_state=True), origin):
            forget_change(state, shown)


def _deployment(change: Change) -> ForgeDeployment:
    return ForgeDeployment(
        key=change.asked.run,
        environment=change.ground.environment,
        state=DeploymentState.IN_PROGRESS,
        description=f"{change.asked.kind} of {change.release.version}",
        details_url=run_page(change.asked.run),
        is_production=change.ground.environment == change.delivery.production,
    )


# NOTE: no retries and little patience: the environment is held meanwhile.
@task(name="announce", cache_policy=NO_CACHE)
async def announce(origin: Origin, deployment: ForgeDeployment) -> None:
    """Raises TemporaryError, PermanentError."""
    try:
        async with asyncio.timeout(_MOST_SECONDS), forge_of(origin) as forge:
            await forge.write_deployment(origin, deployment)
    except TimeoutError as slow:
        raise TemporaryError(f"the forge took more than {_MOST_SECONDS:g} s") from slow
    except ForgeLater as later:
        raise TemporaryError(str(later)) from later
    except ForgeRefused as refused:
        raise PermanentError(str(refused)) from refused
