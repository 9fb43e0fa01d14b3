"""Production: version tag -> gates -> approval -> backup -> n minus 1 -> migrate -> roll -> health -> verify -> notify.

Promises: only what a version tag names and staging has had gets here, people have approved exactly this release, and
when any step after the backup fails, the release before is back by itself.
"""

from contextlib import AsyncExitStack
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.concluding import refused
from tasks.core.origin import Origin
from tasks.core.records import Ending, Kind
from tasks.delivery.announcing import announced
from tasks.delivery.change import open_change
from tasks.delivery.migrating import back_up, migrate
from tasks.delivery.permission import ask_for_permission
from tasks.delivery.recording import conclude_failed, conclude_released, notify
from tasks.delivery.rehearsing import rehearse
from tasks.delivery.releasing import build_release, check_staging
from tasks.delivery.request import DeliveryRequest, named
from tasks.delivery.rolling import make_stable, put_beside, shift_traffic, surround
from tasks.delivery.starting import change_of, open_delivery, tag_of
from tasks.delivery.verifying import check_health, verify
from tasks.naming import run_name
from tasks.retrying import PermanentError, TemporaryError


@flow(name="production", flow_run_name=run_name("{version} of {target} to production"), persist_result=False)
async def production(
    target: Annotated[str, Field(min_length=1)],
    version: Annotated[str, Field(min_length=1)],
    who: str = "",
    why: str = "",
    override: str = "",
    wait_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0,
    overrides: list[str] = [],  # noqa: B006  (Prefect copies defaults, and the form needs a list)
    origin: Origin | None = None,
) -> State[Any]:
    """Release a version to production.

    Args:
        target: a folder in a git work tree, or a git URL
        version: a version tag, for instance v1.4.0; the commit it names is what is released
        who: who asks for it, for the record; claimed, not proved
        why: what for, for the record
        override: why a release that was not in staging is released all the same; goes on record
        wait_seconds: how long to wait while somebody else changes production
        overrides: settings as key.path=value, over towpath.toml's
        origin: where on GitHub it comes from; the change is shown there as a deployment
    """
    async with AsyncExitStack() as held:
        try:
            request = DeliveryRequest(
                target=target,
                ref=tag_of(version),
                who=named(who),
                why=why,
                override=override,
                overrides=tuple(overrides),
                wait_seconds=wait_seconds,
                origin=origin,
            )
            place = await open_delivery(held, request)
            release = await build_release(place, request, place.settings.delivery.production)
            gates = await check_staging(place, request, release)
            permission = await ask_for_permission(place, request, release)
            asked = change_of(Kind.PRODUCTION, place, request, release, gates, permission=permission)
            change = await open_change(held, asked)
            await held.enter_async_context(announced(origin, change))
        except (PermanentError, TemporaryError) as reason:
            return refused(reason)
        try:
            await surround(change)
            await back_up(change)
            await rehearse(change, place, request)
            await migrate(change)
            await put_beside(change)
            await shift_traffic(change)
            await check_health(change)
            await verify(change)
            await make_stable(change)
        except BaseException as failure:  # noqa: BLE001  (whatever it was, production must be put back)
            return await conclude_failed(change, failure)
        state = await conclude_released(change, f"{version} runs in {change.ground.environment}")
        await notify(change, Ending.RELEASED, f"{version} is in production")
        return state
