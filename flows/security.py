"""Security: checkout -> plan -> every scanner in parallel (head, and base beside it) -> merge -> gate -> report.

Promises: every scanner is in the report with what it saw or why it could not, what nobody looked at opens the report,
and silence is never a pass: a scanner that misses its own known finding, skips something or breaks blocks the gate.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.alarming import tell_if_red
from tasks.concluding import final_state, refused
from tasks.core.origin import Origin
from tasks.core.security.page import security_page
from tasks.naming import run_name
from tasks.opening import open_workplace
from tasks.request import MayLack
from tasks.retrying import PermanentError, TemporaryError
from tasks.security.bench import Bench
from tasks.security.comparing import open_base, scan_base
from tasks.security.judging import judge_findings, read_exceptions
from tasks.security.planning import plan_security
from tasks.security.production import look_at_production
from tasks.security.publishing import publish_security
from tasks.security.request import SecurityRequest, with_block_on
from tasks.security.scan_fan_out import run_scans
from tasks.showing import showing
from tasks.watching import RunEnded, tell

Level = Literal["critical", "high", "medium", "low", "none"]


@flow(name="security", flow_run_name=run_name("security of {target}"), persist_result=False)
async def security(
    target: Annotated[str, Field(min_length=1)],
    ref: str | None = None,
    base: str | None = None,
    block_on: Level | None = None,
    use_cache: bool = True,
    may_lack: list[MayLack] = [],  # noqa: B006  (Prefect copies defaults, and the form needs a list)
    overrides: list[str] = [],  # noqa: B006
    watch_production: bool = False,
    origin: Origin | None = None,
    afresh: list[str] = [],  # noqa: B006
) -> State[Any]:
    """Scan dependencies, code, images, secrets and infrastructure, and say in one list what was found.

    Args:
        target: a folder in a git work tree, or a git URL
        ref: branch, tag or commit; empty means the work tree as it is, uncommitted changes too
        base: the revision whose findings are known ones; the history is read from there on
        block_on: least severity that blocks, over the configuration's
        use_cache: believe earlier results on the same inputs
        may_lack: skip, and say as not covered, the scans that need these where they are absent
        overrides: settings as key.path=value, over towpath.toml's
        watch_production: scan what runs in each environment too, and tell people what is new there
        origin: where on GitHub it comes from; how it goes is shown there
        afresh: scans to do again though their results are known, by id or a part of it
    """
    request = SecurityRequest(
        target=target,
        ref=ref or None,
        base=base or None,
        use_cache=use_cache,
        may_lack=frozenset(may_lack),
        overrides=with_block_on(overrides, block_on),
        watches_production=watch_production,
        origin=origin,
        afresh=tuple(afresh),
    )
    async with AsyncExitStack() as held:
        shown = await held.enter_async_context(showing(origin, "security"))
        try:
            place = await open_workplace(held, request)
            known = await open_base(held, place, request)
            exceptions = read_exceptions(place)
            plan = await plan_security(place, request, base=known.commit)
        except (PermanentError, TemporaryError) as reason:
            await shown.stop(str(reason), is_cancelled=False)
            return refused(reason)
        bench = Bench(place, request.among(scan.id for scan in plan.scans), base=known.commit)
        results, before = await asyncio.gather(run_scans(plan, bench), scan_base(known, request))
        running = await look_at_production(place, request)
        report = await judge_findings(place, plan, results, before, exceptions, base=known.commit, notes=running)
        report = await publish_security(report, place, origin)
        await tell_if_red(report, place, origin)
        await shown.end(report, summary=security_page(report))
    tell(RunEnded(report))
    return final_state(report)
