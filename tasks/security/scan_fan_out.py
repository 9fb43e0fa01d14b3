"""Running all scans of a plan, as many at once as there are turns, each ending in a result.

Nothing is stopped by another scan's trouble: the reader wants every finding of one run. A scan's result that comes from
an earlier run on the same inputs is as good as a new one, and says so.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, cast

from prefect.client.schemas.objects import State

from tasks.adapters.history import remembered_seconds
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
from tasks.workplace import Workplace


async def run_scans(plan: ScanPlan, bench: Bench, *, prefix: str = "") -> tuple[ScanResult, ...]:
    """A result for every scan, in the plan's order; `prefix` tells the base's from the head's where they are shown."""
    tell(Planned(Plan(checks=tuple(PlannedCheck(id=prefix + scan.id, settled=scan.settled) for scan in plan.scans))))
    weights = _weights(plan.scans, bench.place)
    heaviest_first = sorted(plan.scans, key=lambda scan: -weights[scan.id])
    running = [asyncio.create_task(_result(scan, bench, prefix, weights[scan.id])) for scan in heaviest_first]
    try:
        results = await asyncio.gather(*running)
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    by_id = {result.id: result for result in results}
    return tuple(by_id[scan.id] for scan in plan.scans)


# Seconds that a scanner took over a small target, for one that has not run over this one yet.
_USUAL_SECONDS = {"codeql": 120.0, "trivy-image": 5.0, "checkov": 2.5, "trufflehog": 2.0, "trivy-fs": 1.0}


def _weights(scans: Sequence[PlannedScan], place: Workplace) -> dict[str, float]:
    """How long each scan will take, by its last runs: the longest goes first."""
    known = remembered_seconds(place.state / "history.sqlite", place.snapshot.source)
    return {scan.id: known.get(scan.id, _USUAL_SECONDS.get(scan.scanner, 0.5)) for scan in scans}


async def _result(planned: PlannedScan, bench: Bench, prefix: str, weight: float) -> ScanResult:
    result = keep_files(await _settled_or_run(planned, bench, prefix, weight), bench.place)
    shown = check_of(result)
    tell(CheckEnded(shown.model_copy(update={"id": prefix + shown.id})))
    return result


async def _settled_or_run(planned: PlannedScan, bench: Bench, prefix: str, weight: float) -> ScanResult:
    if planned.settled is not None:
        return settled_scan(planned.id, planned.scanner, planned.settled)
    try:
        order = await order_scan(planned, bench)
    except (ProgramMissing, DatabaseUnusable) as refused:
        return unstarted(planned, refused)
    bench.place.keys[planned.id] = order.key
    async with bench.place.places_in_line.taken(weight):
        tell(CheckStarted(prefix + planned.id))
        state = await cast("Awaitable[State[Any]]", run_scan(order, return_state=True))
        result = await state.aresult(raise_on_failure=False)
    if isinstance(result, ScanResult):
        return result.model_copy(update={"cached": state.name == "Cached"})
    reason = f"Towpath itself failed at this scan: {type(result).__name__}: {result}"
    outcome = Outcome(Verdict.ERROR, reason, remedy="please report this with the run's log")
    return settled_scan(planned.id, planned.scanner, outcome)
