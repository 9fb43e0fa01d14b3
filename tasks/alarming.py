"""Telling people that the default branch is red: what everybody builds on, and nobody may be looking at."""

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from tasks.adapters.outbox import post
from tasks.core.notices import Event, Notice
from tasks.core.origin import Origin
from tasks.core.results import Report
from tasks.workplace import Workplace


async def tell_if_red(report: Report, place: Workplace, origin: Origin | None) -> None:
    """Where the gate of a push to the default branch blocks; once for each commit and stage. Never raises."""
    if origin is None or not origin.is_default_branch or not report.verdict.blocks:
        return
    await tell_red(_notice(report, origin), place)


def _notice(report: Report, origin: Origin) -> Notice:
    return Notice(
        event=Event.GATE_FAILED,
        target=report.name,
        text=f"{report.flow} of {report.name} at {origin.commit[:12]}: {report.verdict}. {report.reason} {report.run}",
        about=f"{report.flow} {origin.commit}",
        run=report.run,
        facts={"flow": report.flow, "commit": origin.commit},
    )


@task(name="tell people", cache_policy=NO_CACHE)
async def tell_red(notice: Notice, place: Workplace) -> None:
    get_run_logger().info("%s", await post(place.state, notice, place.settings.delivery.notifications))
