"""Running all scans of a plan, as many at once as there are turns, each ending in a result.

Nothing is stopped by another scan's trouble: the reader wants every finding of one run. A scan's result that comes from
an earlier run on the same inputs is as good as a new one, and says so.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, cast

from prefect.client.schemas.objects import State

from tasks.adapters.programs import ProgramMissing
from tasks.adapters.vulnerability_database import DatabaseUnusable
from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import Plan, PlannedCheck
from tasks.core.security.report import check_of
from tasks.core.security.results import ScanResult, settled_scan
from tasks.core.security.scan_plan import PlannedScan, ScanPlan
from tasks.reporting import keep_files
from tasks.security.bench import Bench
from tasks.security.scanning import order_scan, run_scan, unstarted
from tasks.watching import CheckEnded, CheckStarted, Planned, tell


async def run_scans(plan: ScanPlan, bench: Bench, *, prefix: str = "") -> tuple[ScanResult, ...]:
    """A result for every scan, in the plan's order; `prefix` tells the base's from the head's where they are shown."""
    tell(Planned(Plan(checks=tuple(PlannedCheck(id=prefix + scan.id, settled=scan.settled) for scan in plan.scans))))
    running = [asyncio.create_task(_result(scan, bench, prefix)) for scan in _heaviest_first(plan.scans)]
    try:
        results = await asyncio.gather(*running)
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    by_id = {result.id: result for result in results}
    return tuple(by_id[scan.id] for scan in plan.scans)


# What takes longest on any target, so that it does not begin last.
_HEAVY = ("codeql", "checkov", "trivy-image", "gitleaks-history", "trufflehog")


def _heaviest_first(scans: Sequence[PlannedScan]) -> list[PlannedScan]:
    return sorted(scans, key=lambda scan: _HEAVY.index(scan.scanner) if scan.scanner in _HEAVY else len(_HEAVY))


async def _result(planned: PlannedScan, bench: Bench, prefix: str) -> ScanResult:
    result = keep_files(await _settled_or_run(planned, bench, prefix), bench.place)
    shown = check_of(result)
    tell(CheckEnded(shown.model_copy(update={"id": prefix + shown.id})))
    return result


async def _settled_or_run(planned: PlannedScan, bench: Bench, prefix: str) -> ScanResult:
    if planned.settled is not None:
        return settled_scan(planned.id, planned.scanner, planned.settled)
    async with bench.place.turn:
        tell(CheckStarted(prefix + planned.id))
        try:
            order = await order_scan(planned, bench)
        except (ProgramMissing, DatabaseUnusable) as refused:
            return unstarted(planned, refused)
        bench.place.keys[planned.id] = order.key
        state = await cast("Awaitable[State[Any]]", run_scan(order, return_state=True))
        result = await state.aresult(raise_on_failure=False)
    if isinstance(result, ScanResult):
        return result.model_copy(update={"cached": state.name == "Cached"})
    reason = f"Towpath itself failed at this scan: {type(result).__name__}: {result}"
    outcome = Outcome(Verdict.ERROR, reason, remedy="please report this with the run's log")
    return settled_scan(planned.id, planned.scanner, outcome)
