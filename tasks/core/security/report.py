"""The report of a security run: that of any run, and with it the findings and what nobody looked at.

Published and stable like every report: a field is added, never renamed or given another unit.
"""

from typing import Literal

from pydantic import Field

from tasks.core.outcome import Outcome, Verdict
from tasks.core.results import CheckResult, Published, Report
from tasks.core.security.findings import Finding
from tasks.core.security.results import ScanResult

_SHOWN = 3


class Gap(Published):
    """Something nobody looked at."""

    what: str = Field(description="the scan that was not made")
    why: str = Field(description="why not")
    remedy: str = Field(description="how to cover it")


class SecurityReport(Report):
    """How one security run ended."""

    flow: Literal["ci", "security", "pr_checks"] = Field("security", description="which flow ran")
    base: str = Field("", description="commit whose findings are known ones, empty where none was asked for")
    not_covered: tuple[Gap, ...] = Field((), description="what nobody looked at; read it first")
    findings: tuple[Finding, ...] = Field((), description="every finding, the most severe first")
    fixed: tuple[str, ...] = Field((), description="ids of the base's findings that are gone")
    waiver_problems: tuple[str, ...] = Field((), description="waivers that are expired, too long or match nothing")
    files: tuple[str, ...] = Field((), description="SARIF and bills of materials, below the folder")


def check_of(result: ScanResult, blocking: tuple[Finding, ...] = (), unscanned: tuple[str, ...] = ()) -> CheckResult:
    """A scan as a check: failed when a finding it names blocks, an error when it left something unscanned."""
    outcome = _outcome(result, blocking, unscanned)
    return CheckResult(
        id=result.id,
        verdict=outcome.verdict,
        reason=outcome.reason,
        remedy=outcome.remedy,
        seconds=result.seconds,
        cpu_seconds=result.cpu_seconds,
        peak_memory_bytes=result.peak_memory_bytes,
        cached=result.cached,
        tool=result.scanner,
        version=result.version,
        log=result.log,
        suites={**result.evidence, **({"notes": "; ".join(result.notes)} if result.notes else {})},
        measures={"looked_at": result.looked_at, "sightings": len(result.sightings)} if result.looked_at else {},
    )


def _outcome(result: ScanResult, blocking: tuple[Finding, ...], unscanned: tuple[str, ...]) -> Outcome:
    if result.verdict is not Verdict.PASSED:
        return Outcome(result.verdict, result.reason, remedy=result.remedy)
    if unscanned:
        reason = f"{len(unscanned)} could not be scanned: {_listed(unscanned)}"
        remedy = f'mend it, or waive it by the identity "{unscanned_id(result.scanner, unscanned[0])}"'
        return Outcome(Verdict.ERROR, reason, remedy=remedy)
    if blocking:
        names = tuple(f"{finding.severity} {finding.id} at {finding.location}" for finding in blocking)
        return Outcome(Verdict.FAILED, f"{len(names)} block: {_listed(names)}", remedy=blocking[0].remedy)
    return Outcome(Verdict.PASSED, result.reason)


def _listed(names: tuple[str, ...]) -> str:
    more = f"; and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more


def unscanned_id(scanner: str, skipped: str) -> str:
    """The identity by which a waiver accepts that something was not scanned."""
    return f"unscanned/{scanner}/{skipped.partition(':')[0].strip()}"
