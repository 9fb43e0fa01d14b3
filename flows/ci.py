"""CI: checkout -> plan -> backend | frontend | images in parallel -> gate -> report.

Promises: every check of the plan is in the report with its verdict, the flow run is red when a check failed or could
not be done, and nothing of the target is written to.
"""

from contextlib import AsyncExitStack
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.alarming import tell_if_red
from tasks.concluding import conclude_run, final_state, refused
from tasks.core.origin import Origin
from tasks.core.rendering import markdown
from tasks.fan_out import run_plan
from tasks.naming import run_name
from tasks.opening import open_workplace
from tasks.preparing import plan_target
from tasks.reporting import offer_coverage, publish_report
from tasks.request import CiRequest, MayLack
from tasks.retrying import PermanentError, TemporaryError
from tasks.showing import showing
from tasks.watching import Planned, RunEnded, tell


@flow(name="ci", flow_run_name=run_name("ci of {target}"), persist_result=False)
async def ci(
    target: Annotated[str, Field(min_length=1)],
    ref: str | None = None,
    fail_fast: bool = False,
    use_cache: bool = True,
    may_lack: list[MayLack] = [],  # noqa: B006  (Prefect copies defaults, and the form needs a list)
    overrides: list[str] = [],  # noqa: B006
    origin: Origin | None = None,
    afresh: list[str] = [],  # noqa: B006
) -> State[Any]:
    """Take a repository through every check that fits it, and say in one report how it went.

    Args:
        target: a folder in a git work tree, or a git URL
        ref: branch, tag or commit; empty means the work tree as it is, uncommitted changes too
        fail_fast: stop at the first check that blocks
        use_cache: believe earlier results on the same inputs
        may_lack: skip, with a reason, the checks that need these where they are absent
        overrides: settings as key.path=value, over towpath.toml's
        origin: where on GitHub it comes from; how it goes is shown there
        afresh: checks to do again though their results are known, by id or a part of it
    """
    request = CiRequest(
        target=target,
        ref=ref or None,
        fail_fast=fail_fast or None,
        use_cache=use_cache,
        may_lack=frozenset(may_lack),
        overrides=tuple(overrides),
        origin=origin,
        afresh=tuple(afresh),
    )
    async with AsyncExitStack() as held:
        shown = await held.enter_async_context(showing(origin, "ci"))
        try:
            place = await open_workplace(held, request)
            plan = await plan_target(place)
        except (PermanentError, TemporaryError) as reason:
            await shown.stop(str(reason), is_cancelled=False)
            return refused(reason)
        tell(Planned(plan))
        results = await run_plan(plan, place, request)
        said = await offer_coverage(place)
        report = conclude_run(place, plan, results, notes=(said,))
        await publish_report(report, place)
        await tell_if_red(report, place, origin)
        await shown.end(report, summary=markdown(report))
    tell(RunEnded(report))
    return final_state(report)
