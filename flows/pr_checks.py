"""PR checks: what the pull request changes -> every check that reads, at once -> benchmarks -> gate -> report.

Promises: gates, limits and labels are those of the base, never of the pull request; every check is in the report with
its verdict; what could not be told is inconclusive or an error, and never reads as passed.
"""

from contextlib import AsyncExitStack
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.concluding import final_state, refused
from tasks.core.origin import Origin
from tasks.core.pull_requests.page import pull_request_page
from tasks.naming import run_name
from tasks.pull_requests.checking import run_checks
from tasks.pull_requests.publishing import conclude_review, publish_review, shown_of
from tasks.pull_requests.request import PullRequestRequest
from tasks.pull_requests.review import open_review, plan_review
from tasks.retrying import PermanentError, TemporaryError
from tasks.showing import showing
from tasks.watching import Planned, RunEnded, tell


@flow(name="pr_checks", flow_run_name=run_name("pr_checks of {target}"), persist_result=False)
async def pr_checks(
    target: Annotated[str, Field(min_length=1)],
    base: Annotated[str, Field(min_length=1)],
    ref: str | None = None,
    title: str | None = None,
    overrides: list[str] = [],  # noqa: B006  (Prefect copies defaults, and the form needs a list)
    origin: Origin | None = None,
) -> State[Any]:
    """Look at a pull request from every side, and say in one report what failed and how to fix it.

    Args:
        target: a folder in a git work tree, or a git URL
        base: the branch it goes to, whose configuration decides
        ref: branch, tag or commit of the head; empty means the last commit
        title: its title; empty means the subject of its only commit
        overrides: settings as key.path=value, over the base's
        origin: where on a forge it comes from; empty on a laptop
    """
    request = PullRequestRequest(
        target=target,
        base=base,
        ref=ref or None,
        title=title or None,
        overrides=tuple(overrides),
        origin=origin,
    )
    async with AsyncExitStack() as held:
        shown = await held.enter_async_context(showing(origin, "pr_checks"))
        try:
            review = await open_review(held, request)
            plan = plan_review(review)
        except (PermanentError, TemporaryError) as reason:
            await shown.stop(str(reason), is_cancelled=False)
            return refused(reason)
        tell(Planned(plan))
        results = await run_checks(plan, review)
        report = conclude_review(review, plan, results)
        await publish_review(report, review.place)
        await shown.end(report, summary=pull_request_page(report), shown=shown_of(report))
    tell(RunEnded(report))
    return final_state(report)
