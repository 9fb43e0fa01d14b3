"""Canary: put beside production -> a share of the traffic -> watch -> approval -> promote; back at once when it is bad.

Promises: the share never rises without a verdict that allows it, the canary is watched for as long as it has traffic,
also while people are asked, and when this flow is gone the guard takes it back.
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
from tasks.delivery.canarying import (
    abort_canary,
    ask_for_approval,
    begin_canary,
    conclude_canary,
    promote_canary,
    put_canary,
    watch_canary,
)
from tasks.delivery.change import open_change
from tasks.delivery.migrating import back_up, migrate_beside
from tasks.delivery.rehearsing import rehearse
from tasks.delivery.releasing import build_release, check_staging
from tasks.delivery.request import DeliveryRequest, named
from tasks.delivery.rolling import surround
from tasks.delivery.starting import change_of, must_stand_beside, open_delivery
from tasks.naming import run_name
from tasks.retrying import PermanentError, TemporaryError


@flow(name="canary", flow_run_name=run_name("canary {ref} of {target}"), persist_result=False)
async def canary(
    target: Annotated[str, Field(min_length=1)],
    ref: str | None = None,
    who: str = "",
    why: str = "",
    override: str = "",
    wait_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0,
    overrides: list[str] = [],  # noqa: B006  (Prefect copies defaults, and the form needs a list)
    origin: Origin | None = None,
) -> State[Any]:
    """Try a release on a share of production's traffic, and promote it when it is shown to be good and approved.

    Args:
        target: a folder in a git work tree, or a git URL
        ref: branch, tag or commit; empty means what is checked out
        who: who asks for it, for the record; claimed, not proved
        why: what for, for the record
        override: why a release that was not in staging is tried all the same; goes on record
        wait_seconds: how long to wait while somebody else changes production
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
    failure: BaseException | None = None
    async with AsyncExitStack() as held:
        try:
            place = await open_delivery(held, request)
            release = await build_release(place, request, place.settings.delivery.production)
            gates = await check_staging(place, request, release)
            change = must_stand_beside(await open_change(held, change_of(Kind.CANARY, place, request, release, gates)))
            await held.enter_async_context(announced(origin, change))
        except (PermanentError, TemporaryError) as reason:
            return refused(reason)
        run = begin_canary(change)
        try:
            await surround(change)
            await back_up(change)
            await rehearse(change, place, request)
            await migrate_beside(change)
            await put_canary(run)
            while run.is_open:
                await watch_canary(run)
                await ask_for_approval(run)
            await promote_canary(run)
        except BaseException as reason:  # noqa: BLE001  (whatever it was, production must be put back)
            failure = await abort_canary(run, reason)
        return await conclude_canary(run, failure)
