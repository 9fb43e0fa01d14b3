"""CI: checkout -> plan -> backend | frontend | images in parallel -> gate -> report.

Promises: every check of the plan is in the report with its verdict, the flow run is red when a check failed or could
not be done, and nothing of the target is written to.
"""

from contextlib import AsyncExitStack
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.concluding import conclude_run, final_state, refused
from tasks.fan_out import run_plan
from tasks.opening import open_workplace
from tasks.preparing import plan_target
from tasks.reporting import offer_coverage, publish_report
from tasks.request import CiRequest, MayLack
from tasks.retrying import PermanentError, TemporaryError
from tasks.watching import Planned, RunEnded, tell


@flow(name="ci", flow_run_name="ci of {target}", persist_result=False)
async def ci(
    target: Annotated[str, Field(description="folder in a git work tree, or a git URL", min_length=1)],
    ref: Annotated[str | None, Field(description="branch, tag or commit; empty: the work tree as it is")] = None,
    fail_fast: Annotated[bool, Field(description="stop at the first check that blocks")] = False,
    use_cache: Annotated[bool, Field(description="believe earlier results on the same inputs")] = True,
    may_lack: Annotated[list[MayLack], Field(description="skip checks that need these where they are absent")] = [],  # noqa: B006
    overrides: Annotated[list[str], Field(description="settings as key.path=value, over towpath.toml")] = [],  # noqa: B006
) -> State[Any]:
    """Take a repository through every check that fits it, and say in one report how it went."""
    request = CiRequest(
        target=target,
        ref=ref or None,
        fail_fast=fail_fast or None,
        use_cache=use_cache,
        may_lack=frozenset(may_lack),
        overrides=tuple(overrides),
    )
    async with AsyncExitStack() as held:
        try:
            place = await open_workplace(held, request)
            plan = await plan_target(place)
        except (PermanentError, TemporaryError) as reason:
            return refused(reason)
        tell(Planned(plan))
        results = await run_plan(plan, place, request)
        report = conclude_run(place, plan, results)
        await publish_report(report, place)
        await offer_coverage(report, place)
    tell(RunEnded(report))
    return final_state(report)
