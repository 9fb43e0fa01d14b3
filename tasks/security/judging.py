"""The gate: what all scanners saw, merged, compared with the base, waived where somebody may, and judged."""

from collections.abc import Awaitable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from tasks.adapters.snapshots import Snapshot
from tasks.concluding import facts_of, state_of
from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import matches
from tasks.core.results import CheckResult, gate
from tasks.core.rules import WAIVERS
from tasks.core.security.baseline import compare
from tasks.core.security.findings import Finding, Status
from tasks.core.security.merging import Merged, merge
from tasks.core.security.policy import Judged, judge
from tasks.core.security.report import Gap, SecurityReport, check_of, unscanned_id
from tasks.core.security.results import ScanResult
from tasks.core.security.scan_plan import ScanPlan
from tasks.core.security.settings import WaiverSettings
from tasks.core.security.vex import Statement, read_vex
from tasks.core.security.waivers import in_force, read_waivers
from tasks.core.settings import SettingsRefused
from tasks.retrying import BadInput
from tasks.workplace import Workplace


class Exceptions:
    """What the target says need not count: its waivers and its VEX documents."""

    def __init__(self, place: Workplace) -> None:
        own = place.rules.over({WAIVERS: _text(place.snapshot, WAIVERS)}).get(WAIVERS, "")
        listed = read_waivers(WAIVERS, own) if own else ()
        self.waivers: tuple[WaiverSettings, ...] = (*place.settings.waivers, *listed)
        self.statements: tuple[Statement, ...] = tuple(_statements(place))


def read_exceptions(place: Workplace) -> Exceptions:
    """Raises BadInput in one line: a waiver that cannot be read is a gate nobody understands."""
    try:
        return Exceptions(place)
    except SettingsRefused as refused:
        raise BadInput(str(refused)) from refused


def _statements(place: Workplace) -> Iterator[Statement]:
    patterns = place.settings.security.vex
    for path in sorted(place.snapshot.files):
        if any(matches(path, pattern) for pattern in patterns):
            text = _text(place.snapshot, path)
            yield from read_vex(path, text) if place.rules.allows(path, text) else ()


def _text(snapshot: Snapshot, path: str) -> str:
    with suppress(OSError):
        if path in snapshot.files:
            return (snapshot.tree / path).read_text("utf-8", "replace")
    return ""


async def judge_findings(
    place: Workplace,
    plan: ScanPlan,
    results: tuple[ScanResult, ...],
    before: tuple[ScanResult, ...] | None,
    exceptions: Exceptions,
    *,
    base: str,
    notes: tuple[str, ...],
) -> SecurityReport:
    """The report of the run. The gate's own task run is red when it blocks."""
    judged = _judged(place, results, before, exceptions)
    checks = tuple(_check(result, judged, exceptions) for result in results)
    decision = _decision(gate(checks), judged, before)
    await cast("Awaitable[State[Any]]", say_gate(decision, return_state=True))
    return SecurityReport(
        **facts_of(place),
        verdict=decision.verdict,
        reason=decision.reason,
        notes=(*plan.notes, *place.rules.notes, *notes),
        checks=checks,
        base=base,
        not_covered=tuple(Gap(what=gap.what, why=gap.why, remedy=gap.remedy) for gap in plan.not_covered()),
        findings=tuple(finding for finding in judged.findings if finding.status is not Status.FIXED),
        fixed=tuple(finding.id for finding in judged.findings if finding.status is Status.FIXED),
        waiver_problems=judged.waiver_problems,
    )


def _judged(
    place: Workplace,
    results: tuple[ScanResult, ...],
    before: tuple[ScanResult, ...] | None,
    exceptions: Exceptions,
) -> Judged:
    merged = _merged(results)
    return judge(
        merged,
        compared=compare(merged, None if before is None else _merged(before)),
        settings=place.settings.security,
        today=_today(),
        waivers=exceptions.waivers,
        statements=exceptions.statements,
        also_named=[unscanned_id(result.scanner, said) for result in results for said in result.skipped],
    )


def _today() -> date:
    return datetime.now(UTC).date()


def _merged(results: Iterable[ScanResult]) -> tuple[Merged, ...]:
    return merge(sighting for result in results for sighting in result.sightings)


def _check(result: ScanResult, judged: Judged, exceptions: Exceptions) -> CheckResult:
    blocking = tuple(finding for finding in judged.blocking if _names(finding, result))
    accepted = {waiver.identity for waiver in in_force(exceptions.waivers, _today())}
    unscanned = tuple(said for said in result.skipped if unscanned_id(result.scanner, said) not in accepted)
    return check_of(result, blocking, unscanned)


def _names(finding: Finding, result: ScanResult) -> bool:
    """Whether this scan is one of those that saw it."""
    own = {f"{sighting.scanner}:{sighting.rule}" for sighting in result.sightings}
    return result.scanner in finding.scanners and bool(own & set(finding.rules))


def _decision(outcome: Outcome, judged: Judged, before: tuple[ScanResult, ...] | None) -> Outcome:
    """The checks' outcome with the findings counted; a base that could not be scanned decides nothing."""
    broken = [result for result in before or () if result.verdict is Verdict.ERROR]
    if broken:
        reason = f"the base could not be scanned ({broken[0].id}: {broken[0].reason}), so that nothing is known as new"
        return Outcome(Verdict.ERROR, reason, remedy=broken[0].remedy)
    open_ones = [finding for finding in judged.findings if finding.status in (Status.OPEN, Status.NEW, Status.KNOWN)]
    counted = f"{len(judged.blocking)} findings block, {len(open_ones) - len(judged.blocking)} more do not"
    return Outcome(outcome.verdict, f"{outcome.reason}; {counted}", remedy=outcome.remedy)


@task(name="gate", cache_policy=NO_CACHE)
async def say_gate(decision: Outcome) -> State[Any]:
    """The gate as a task run of its own, so that the run's graph shows what stopped it."""
    return state_of(decision)
