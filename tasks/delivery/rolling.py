"""Moving an environment from one release to the next, step by step, and back when a step fails.

The new release is put beside the old one without traffic, gets all of it at once when every instance is ready, and the
old one stays until the new one has been verified: so going back is one change of weights.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.intents import machine_seconds
from tasks.core.platform import PermitRevoked, PlatformTrouble, Role
from tasks.delivery.change import Change, step
from tasks.retrying import PermanentError

_READY_POLL_SECONDS = 0.2
_SHOWN = 12
_T = TypeVar("_T")


async def wait_until_ready(change: Change, role: Role, replicas: Mapping[str, int]) -> None:
    """Until that many instances are ready. Raises PermanentError that says which are not, and why."""
    starts = [change.delivery.components[name].start_seconds for name in replicas]
    longest = max(starts, default=0.0) * 1.5 + 10
    deadline = machine_seconds() + longest
    while True:
        status = await change.platform.status(change.ground.environment)
        if not (lacking := status.lacking(role, dict(replicas))):
            return
        if hopeless := status.hopeless(role):
            raise PermanentError(f"{change.release.version} will not become ready: {hopeless}")
        if machine_seconds() >= deadline:
            raise PermanentError(f"{change.release.version} was not ready within {longest:.0f} s: {lacking}")
        # NOTE: instances become ready by their own time; the platform is asked, it does not call back.
        await asyncio.sleep(_READY_POLL_SECONDS)


async def place(change: Change, replicas: Mapping[str, int]) -> None:
    """Put the release beside the stable one and wait for it. Raises PlatformTrouble or PermanentError."""
    wanted = {name: number for name, number in replicas.items() if number}
    async with step(change, "put beside") as saying:
        change.has_moved = True
        await change.platform.put(change.permit, change.release, wanted)
        await wait_until_ready(change, Role.CANDIDATE, wanted)
        saying.text = ", ".join(f"{number} {name}" for name, number in wanted.items())


async def shift(change: Change, percent: float) -> None:
    """Give the new release this share of the traffic."""
    async with step(change, f"{percent:g} % of the traffic"):
        await change.platform.set_weight(change.permit, percent)


async def take_over(change: Change) -> None:
    """Make the new release the stable one; the old one is drained and goes."""
    async with step(change, "take over") as saying:
        change.is_taking_over = True
        await change.platform.promote(change.permit)
        saying.text = f"{change.release.version} is stable"


async def has_taken_over(change: Change) -> bool:
    """Whether the release is the stable one although taking over was not seen to its end: then there is no way back."""
    if not change.is_taking_over:
        return False
    status = await change.platform.status(change.ground.environment)
    return status.candidate is None and status.stable is not None and status.stable.digest == change.release.digest


async def take_away(change: Change) -> None:
    """Traffic back to the stable release, then the new one is drained and goes. Raises PlatformTrouble."""
    async with step(change, "take away") as saying:
        await change.platform.set_weight(change.permit, 0.0)
        await change.platform.remove(change.permit)
        stable = change.replaced.version if change.replaced else "nothing"
        saying.text = f"{stable} has all of the traffic"


@task(name="surroundings", task_run_name="surroundings", cache_policy=NO_CACHE)
async def surround(change: Change) -> None:
    """What the release needs before its migrations and instances, on platforms where that is not in itself."""
    if not change.platform.has_surroundings:
        return
    async with step(change, "surroundings") as saying:
        lines = await told_plainly(change.platform.preview(change.release))
        change.has_moved = True
        await told_plainly(change.platform.surround(change.permit, change.release))
        saying.text = "; ".join(lines[:_SHOWN]) + (f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else "")


@task(name="put beside", task_run_name="put beside", cache_policy=NO_CACHE)
async def put_beside(change: Change) -> None:
    """Full size, no traffic."""
    await told_plainly(place(change, change.release.replicas))


@task(name="shift traffic", task_run_name="shift traffic", cache_policy=NO_CACHE)
async def shift_traffic(change: Change) -> None:
    """All of it at once."""
    await told_plainly(shift(change, 100.0))


@task(name="take over", task_run_name="take over", cache_policy=NO_CACHE)
async def make_stable(change: Change) -> None:
    await told_plainly(take_over(change))


async def told_plainly(work: Awaitable[_T]) -> _T:
    """What a platform could not do, as what a task fails with."""
    try:
        return await work
    except PermitRevoked:
        raise
    except (PlatformTrouble, OSError) as trouble:
        raise PermanentError(str(trouble)) from trouble
