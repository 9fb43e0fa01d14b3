"""The local platform under visitors who never stop coming: no release, no scaling and no death costs a request."""

import asyncio
from pathlib import Path

from tasks.core.platform import Role
from tests.adapters.local_stage import Load, Stage, load, stage

PER_SECOND = 200


async def test_no_request_is_lost(tmp_path: Path) -> None:
    """200 a second through a canary, promotion, roll back, scaling and the death and successor of the supervisor."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        async with load(on.url, per_second=PER_SECOND) as visitors:
            for step in (canary, promotion, roll_back, scaling, succession):
                before = len(visitors.visits)
                await step(on, visitors)
                assert visitors.failures() == [], step.__name__
                assert len(visitors.visits) > before
        assert visitors.failures() == []


async def after_visits(visitors: Load, number: int) -> None:
    until = len(visitors.visits) + number
    while len(visitors.visits) < until:
        await asyncio.sleep(0.01)


async def canary(on: Stage, visitors: Load) -> None:
    await on.put_ready(on.release("v2"), 2)
    await on.platform.set_weight(on.permit, 10)
    await after_visits(visitors, PER_SECOND)


async def promotion(on: Stage, visitors: Load) -> None:
    await on.platform.set_weight(on.permit, 50)
    await after_visits(visitors, PER_SECOND)
    await on.platform.promote(on.permit)
    await on.until_marks({"router", "web-2-1", "web-2-2"})
    assert visitors.visits[-1].said == "v2"


async def roll_back(on: Stage, visitors: Load) -> None:
    await on.put_ready(on.release("v3"))
    await on.platform.set_weight(on.permit, 30)
    await after_visits(visitors, PER_SECOND)
    await on.platform.set_weight(on.permit, 0)
    await on.platform.remove(on.permit)
    await on.until_marks({"router", "web-2-1", "web-2-2"})


async def scaling(on: Stage, visitors: Load) -> None:
    await on.platform.scale(on.permit, Role.STABLE, {"web": 4})
    await on.until_ready(Role.STABLE, 4)
    await after_visits(visitors, PER_SECOND // 2)
    await on.platform.scale(on.permit, Role.STABLE, {"web": 2})
    await on.until_marks({"router", "web-2-1", "web-2-2"})


async def succession(on: Stage, visitors: Load) -> None:
    on.kill_supervisor()
    await after_visits(visitors, PER_SECOND // 2)
    on.supervise()
    await on.until_status(lambda status: not status.note, what="supervised again")
    await after_visits(visitors, PER_SECOND)
