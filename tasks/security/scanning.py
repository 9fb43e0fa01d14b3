"""One scan as one task run: try the scanner's bait, run it over the target, keep what it saw.

A task run that is done is green whatever was found: the gate judges the findings of all scanners together. What could
not be done is red, named Error, and never remembered.
"""

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.client.schemas.objects import State, StateType
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger

from tasks.adapters.histories import HistoryRefused
from tasks.adapters.programs import ProgramMissing
from tasks.adapters.scanner_programs import ScannerProgram, find_scanner
from tasks.adapters.scanner_runs import Bill, Scanned, ScanOrder, list_materials, run_scanner
from tasks.adapters.scanners.catalogue import scanner_named
from tasks.adapters.source_lines import with_contexts
from tasks.adapters.vulnerability_database import Database, DatabaseUnusable
from tasks.core.environments import digest
from tasks.core.outcome import Outcome, Verdict
from tasks.core.security.results import ScanResult, settled_scan
from tasks.core.security.scan_plan import PlannedScan
from tasks.core.security.scanner import DATABASE, Scan, Scanner
from tasks.remembering import REMEMBERED
from tasks.retrying import TemporaryError, is_temporary
from tasks.security.baiting import try_bait
from tasks.security.bench import Bench
from tasks.security.furnishing import Furnished, furnish, revision_of

# Raised when a change of Towpath changes what a scan's result means, so that old results are not believed.
_SCANS_VERSION = 1
_TRIES = 2
_UNREACHABLE = "look whether its service answers from here; security.osv_url and security.npm_registry name another"


class ScanTask:
    """A scan that is ready to run: its program found, its key known (empty: never remembered). No dataclass, so that
    Prefect does not walk through it."""

    def __init__(
        self,
        *,
        planned: PlannedScan,
        bench: Bench,
        scanner: Scanner,
        program: ScannerProgram,
        database: Database | None,
        key: str,
    ) -> None:
        self.planned = planned
        self.bench = bench
        self.scanner = scanner
        self.program = program
        self.database = database
        self.key = key


async def order_scan(planned: PlannedScan, bench: Bench) -> ScanTask:
    """Find the scanner and name what its result depends on. Raises ProgramMissing, DatabaseUnusable."""
    place = bench.place
    scanner = scanner_named(planned.scanner, place.settings)
    log = place.log_of(f"program-{planned.id}")
    program = await bench.once(f"program {scanner.name}", lambda: find_scanner(scanner, state=place.state, log=log))
    database = await bench.database() if scanner.needs_database else None
    key = _key(planned, bench, scanner, program, database) if bench.request.believes(planned.id) else ""
    return ScanTask(planned=planned, bench=bench, scanner=scanner, program=program, database=database, key=key)


def _key(
    planned: PlannedScan, bench: Bench, scanner: Scanner, program: ScannerProgram, database: Database | None
) -> str:
    """Everything the result depends on, as one hash; of a service that is asked, the day."""
    scan, files = planned.scan, bench.place.snapshot.files
    inputs = sorted(files.items()) if planned.inputs is None else [(path, files[path]) for path in planned.inputs]
    parts = [
        _SCANS_VERSION,
        bench.place.tier,
        planned.id,
        program.label,
        scanner.arguments(scan),
        sorted(scan.files.items()),
        sorted((name, values) for name, values in scan.options.items()),
        inputs,
        planned.overlays,
        planned.skipped,
        database.identity if database else "",
        revision_of(planned, bench, is_dated=scanner.needs_network or planned.image is not None),
        digest(bench.salt.hex()),
    ]
    return digest(parts)


_REMEMBERED: dict[str, Any] = {
    **REMEMBERED,
    "cache_policy": CacheKeyFnPolicy(cache_key_fn=lambda _, parameters: parameters["order"].key or None),
    "retries": _TRIES,
    "retry_delay_seconds": 2,
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_temporary,
}


@task(name="scan", task_run_name="{order.planned.id}", **_REMEMBERED)
async def run_scan(order: ScanTask) -> ScanResult | State[ScanResult]:
    """What one scanner saw; red where it could not be done."""
    try:
        result = await _scanned(order)
    except OSError as full:
        reason = f"{full.filename or order.bench.place.state} could not be written: {full.strerror or full}"
        remedy = "free some space, or set TOWPATH_HOME to a place that can be written"
        result = _not_done(order, Outcome(Verdict.ERROR, reason, remedy=remedy))
    logger = get_run_logger()
    logger.info("%s: %s", "done" if result.verdict is Verdict.PASSED else result.verdict, result.reason)
    for line in (*result.skipped, *result.notes):
        logger.info("%s", line)
    if not result.verdict.blocks:
        return result
    if order.scanner.needs_network and _may_try_again():
        raise TemporaryError(result.reason)
    return State(type=StateType.FAILED, name="Error", message=result.reason[:1000], data=result)


def _may_try_again() -> bool:
    context = TaskRunContext.get()
    return context is not None and context.task_run.run_count <= _TRIES


async def _scanned(order: ScanTask) -> ScanResult:
    planned, bench = order.planned, order.bench
    async with AsyncExitStack() as held:
        await held.enter_async_context(bench.place.turns.taken())
        try:
            furnished = await furnish(held, planned, bench)
        except HistoryRefused as refused:
            return _not_done(order, Outcome(Verdict.ERROR, str(refused)))
        except ProgramMissing as missing:
            outcome = Outcome(Verdict.ERROR, missing.trouble.reason, remedy=missing.trouble.remedy)
            return _not_done(order, outcome)
        if furnished.outcome is not None:
            return _not_done(order, furnished.outcome)
        ready = _order(order, furnished)
        bait = await try_bait(ready, database=order.database.identity if order.database else "")
        if bait.verdict.blocks:
            return _not_done(order, bait)
        scanned = await run_scanner(ready)
        result = with_contexts(_result(order, furnished, scanned, bait), ready.tree)
        return _with_bill(result, await list_materials(ready, bill_of(ready.log))) if scanned.belief.reading else result


def _with_bill(result: ScanResult, bill: Bill | None) -> ScanResult:
    """The result with what listing took, which is the scanner's time as well, and what kept it from that."""
    if bill is None:
        return result
    return result.model_copy(
        update={
            "notes": (*result.notes, *filter(None, (bill.trouble,))),
            "seconds": round(result.seconds + bill.completion.seconds, 3),
            "cpu_seconds": round(result.cpu_seconds + bill.completion.cpu_seconds, 3),
        }
    )


def bill_of(log: Path) -> Path:
    """Where a scan's bill of materials lies: with the files that a remembered result takes along."""
    return log.parent.parent / "files" / log.stem / "materials.cdx.json"


def _order(order: ScanTask, furnished: Furnished) -> ScanOrder:
    place = order.bench.place
    security = place.settings.security
    return ScanOrder(
        scanner=order.scanner,
        program=order.program,
        scan=_inside(furnished.scan),
        state=place.state,
        tree=furnished.tree,
        history=furnished.history,
        database=order.database.folder if order.database else _own_database(furnished),
        image=furnished.image,
        log=place.log_of(order.planned.id),
        timeout_seconds=security.scan_timeout_seconds,
        most=order.bench.most,
        max_output_bytes=place.settings.run.max_log_bytes,
        salt=order.bench.salt,
    )


def _own_database(furnished: Furnished) -> Path | None:
    """A folder that the configuration names as a scanner's database."""
    named = furnished.scan.first("database")
    return Path(named) if named and Path(named).is_dir() else None


def _inside(scan: Scan) -> Scan:
    """The scan as its room has it: a database's folder is at its own place there."""
    named = scan.first("database")
    return replace(scan, options={**scan.options, "database": (DATABASE,)}) if named and Path(named).is_dir() else scan


def _not_done(order: ScanTask, outcome: Outcome) -> ScanResult:
    remedy = outcome.remedy or (_UNREACHABLE if order.scanner.needs_network else "see its log in the run's folder")
    blocked = Outcome(Verdict.ERROR, outcome.reason, remedy=remedy)
    result = settled_scan(order.planned.id, order.scanner.name, blocked)
    log = order.bench.place.log_of(order.planned.id)
    return result.model_copy(update={"version": order.program.label, "log": str(log) if log.exists() else ""})


def _result(order: ScanTask, furnished: Furnished, scanned: Scanned, bait: Outcome) -> ScanResult:
    belief, completion, reading = scanned.belief, scanned.completion, scanned.belief.reading
    if reading is None:
        return _not_done(order, belief.outcome).model_copy(
            update={"log": str(order.bench.place.log_of(order.planned.id))}
        )
    evidence = {"known finding": bait.reason, **furnished.evidence}
    if order.database is not None:
        evidence["database"] = order.database.said
    if scanned.unenforced:
        evidence["not enforced on this machine"] = "; ".join(scanned.unenforced)
    return ScanResult(
        id=order.planned.id,
        scanner=order.scanner.name,
        version=order.program.label,
        verdict=belief.outcome.verdict,
        reason=belief.outcome.reason,
        remedy=belief.outcome.remedy,
        seconds=round(completion.seconds, 3),
        cpu_seconds=round(completion.cpu_seconds, 3),
        peak_memory_bytes=completion.peak_memory_bytes,
        log=str(order.bench.place.log_of(order.planned.id)),
        looked_at=reading.looked_at,
        skipped=(*order.planned.skipped, *furnished.skipped, *reading.skipped),
        notes=reading.notes,
        evidence=evidence,
        sightings=reading.sightings,
    )


def unstarted(planned: PlannedScan, refused: ProgramMissing | DatabaseUnusable) -> ScanResult:
    """The result of a scan whose scanner or database could not be had."""
    outcome = Outcome(Verdict.ERROR, refused.trouble.reason, remedy=refused.trouble.remedy)
    return settled_scan(planned.id, planned.scanner, outcome)
