"""Rollback: a recorded release back whole: what was built, its configuration, its instances, all of the traffic.

Promises: it needs no repository and no build, only the record; it refuses a release that could not run on the schema
the database has now; and a freeze does not stop it.
"""

from contextlib import AsyncExitStack
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.concluding import refused
from tasks.delivery.change import open_change
from tasks.delivery.going_back import find_recorded, prepare_schema
from tasks.delivery.recording import conclude_failed, conclude_released
from tasks.delivery.request import named
from tasks.delivery.rolling import make_stable, put_beside, shift_traffic, surround
from tasks.delivery.verifying import check_health
from tasks.naming import run_name
from tasks.opening import open_run
from tasks.retrying import PermanentError, TemporaryError


@flow(name="rollback", flow_run_name=run_name("{environment} of {target} back to {release}"), persist_result=False)
async def rollback(
    target: Annotated[str, Field(min_length=1)],
    environment: Annotated[str, Field(min_length=1)],
    release: Annotated[str, Field(min_length=1)] = "previous",
    who: str = "",
    why: str = "",
    wait_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0,
) -> State[Any]:
    """Put a recorded release back.

    Args:
        target: the target's name, as towpath status shows it
        environment: staging or production
        release: number of a record, a version, or `previous` for the release before the present one
        who: who asks for it, for the record; claimed, not proved
        why: what for, for the record
        wait_seconds: how long to wait while somebody else changes the environment
    """
    async with AsyncExitStack() as held:
        try:
            run = open_run(held)
            asked = await find_recorded(run, target, environment, release, named(who), why, wait_seconds)
            change = await open_change(held, asked)
        except (PermanentError, TemporaryError) as reason:
            return refused(reason)
        try:
            await prepare_schema(change)
            await surround(change)
            await put_beside(change)
            await shift_traffic(change)
            await check_health(change)
            await make_stable(change)
        except BaseException as failure:  # noqa: BLE001  (whatever it was, the environment must be put back)
            return await conclude_failed(change, failure)
        return await conclude_released(change, f"{change.release.version} is back in {environment}")
