"""CD: gates -> build -> staging: migrate, roll, wait, health, the target's own tests.

Promises: nothing reaches staging whose revision has not passed the gates (or whose override is on record), and a step
that fails leaves staging as it was, with a record that says why.
"""

from contextlib import AsyncExitStack
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.concluding import refused
from tasks.core.origin import Origin
from tasks.core.records import Kind
from tasks.delivery.announcing import announced
from tasks.delivery.change import open_change
from tasks.delivery.migrating import back_up, migrate
from tasks.delivery.recording import conclude_failed, conclude_released
from tasks.delivery.releasing import build_release, check_gates
from tasks.delivery.request import DeliveryRequest, named
from tasks.delivery.rolling import make_stable, put_beside, shift_traffic, surround
from tasks.delivery.starting import change_of, open_delivery
from tasks.delivery.verifying import check_health, run_target_tests
from tasks.naming import run_name
from tasks.retrying import PermanentError, TemporaryError


@flow(name="cd", flow_run_name=run_name("{ref} of {target} to staging"), persist_result=False)
async def cd(
    target: Annotated[str, Field(min_length=1)],
    ref: str | None = None,
    who: str = "",
    why: str = "",
    override: str = "",
    wait_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0,
    overrides: list[str] = [],  # noqa: B006  (Prefect copies defaults, and the form needs a list)
    origin: Origin | None = None,
) -> State[Any]:
    """Build a revision that has passed its gates and release it to staging.

    Args:
        target: a folder in a git work tree, or a git URL
        ref: branch, tag or commit; empty means what is checked out, which must be committed
        who: who asks for it, for the record; claimed, not proved
        why: what for, for the record
        override: why gates that are not green are passed over; goes on record
        wait_seconds: how long to wait while somebody else changes staging
        overrides: settings as key.path=value, over towpath.toml's
        origin: where on GitHub it comes from; the change is shown there as a deployment
    """
    request = DeliveryRequest(
        target=target,
        ref=ref or None,
        who=named(who),
        why=why,
        override=override,
        overrides=tuple(overrides),
        wait_seconds=wait_seconds,
        origin=origin,
    )
    async with AsyncExitStack() as held:
        try:
            place = await open_delivery(held, request)
            gates = await check_gates(place, request)
            release = await build_release(place, request, place.settings.delivery.staging)
            change = await open_change(held, change_of(Kind.CD, place, request, release, gates))
            await held.enter_async_context(announced(origin, change))
        except (PermanentError, TemporaryError) as reason:
            return refused(reason)
        try:
            await surround(change)
            await back_up(change)
            await migrate(change)
            await put_beside(change)
            await shift_traffic(change)
            await check_health(change)
            await run_target_tests(change, place)
            await make_stable(change)
        except BaseException as failure:  # noqa: BLE001  (whatever it was, staging must be put back)
            return await conclude_failed(change, failure)
        return await conclude_released(change, f"{release.version} runs in {change.ground.environment}")
