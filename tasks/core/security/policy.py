"""Which findings the gate stops at.

It promises that each sighting is judged on its own, by its own category, rating, names and standing, and that a finding
blocks if any of its sightings does: so one more sighting never opens the gate, nor does one waiver less. It must never
take an unrated sighting for harmless because somebody else has rated the problem low.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tasks.core.security.baseline import Compared
from tasks.core.security.findings import Finding, Status
from tasks.core.security.listing import listed
from tasks.core.security.merging import Merged
from tasks.core.security.settings import CategoryPolicy, SecuritySettings, WaiverSettings
from tasks.core.security.severity import LEVELS, as_level, at_least
from tasks.core.security.sightings import Severity, Sighting
from tasks.core.security.vex import Statement, Statements, by_advisory, suppressing
from tasks.core.security.waivers import Accepted, accepted, waiver_problems


@dataclass(frozen=True)
class Judged:
    """Every finding, the most severe first and the fixed ones last, and what is wrong with the waivers."""

    findings: tuple[Finding, ...]
    waiver_problems: tuple[str, ...] = ()

    @property
    def blocking(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.blocks)

    @property
    def passes(self) -> bool:
        return not self.blocking


class _Ruling(StrEnum):
    """What becomes of one sighting, from worst to best."""

    BLOCKS = "blocks"
    ACCEPTED = "accepted"
    KNOWN = "known"
    MILD = "mild"


@dataclass(frozen=True)
class _Ruled:
    ruling: _Ruling
    why: str
    is_accepted: bool


@dataclass(frozen=True)
class _Bench:
    """What every sighting is judged by."""

    compared: Compared
    waivers: Accepted
    statements: Statements
    settings: SecuritySettings


def judge(
    merged: Sequence[Merged],
    *,
    compared: Compared,
    settings: SecuritySettings,
    today: date,
    waivers: Sequence[WaiverSettings] = (),
    statements: Iterable[Statement] = (),
    also_named: Iterable[str] = (),
) -> Judged:
    """`also_named` are identities of what is no finding but may be waived, for instance of what was not scanned."""
    bench = _Bench(compared, accepted(merged, waivers, today), by_advisory(statements), settings)
    judged = [_judged(finding, bench) for finding in merged]
    judged += [_fixed(finding) for finding in compared.fixed]
    judged.sort(key=lambda finding: _order(finding, settings.block_unknown_as))
    return Judged(tuple(judged), waiver_problems(merged, waivers, today, others=also_named))


def _fixed(finding: Merged) -> Finding:
    return listed(finding, status=Status.FIXED, blocks=False, why="no longer found", copies={})


def _order(finding: Finding, unknown_as: Severity) -> tuple[bool, int, str]:
    level = LEVELS.index(as_level(finding.severity, unknown_as))
    return (finding.status is Status.FIXED, -level, finding.id)


def _judged(finding: Merged, bench: _Bench) -> Finding:
    ruled = [_ruled(sighting, bench) for sighting in finding.sightings]
    worst = min(ruled, key=lambda each: _RULINGS.index(each.ruling))
    blocks = worst.ruling is _Ruling.BLOCKS
    is_waived = worst.ruling is _Ruling.ACCEPTED or all(each.is_accepted for each in ruled)
    status = Status.WAIVED if is_waived else _standing(finding, bench.compared)
    return listed(finding, status=status, blocks=blocks, why=worst.why, copies=bench.waivers.copies)


_RULINGS = tuple(_Ruling)


def _standing(finding: Merged, compared: Compared) -> Status:
    """New if any of its sightings is."""
    standings = {compared.of(sighting) for sighting in finding.sightings}
    return next(status for status in (Status.NEW, Status.OPEN, Status.KNOWN) if status in standings)


def _ruled(sighting: Sighting, bench: _Bench) -> _Ruled:
    settings = bench.settings
    policy = settings.categories.get(sighting.category, CategoryPolicy(block_on=None, findings=None))
    threshold = policy.block_on or settings.block_on
    level = as_level(sighting.rating.severity, settings.block_unknown_as)
    acceptance = _acceptance(sighting, bench)
    said = level if level is sighting.rating.severity else f"unrated, which counts as {level},"
    if not at_least(level, threshold):
        why = acceptance or f"{said} is below {threshold}, from which on {sighting.category} blocks"
        return _Ruled(_Ruling.MILD, why, bool(acceptance))
    if (policy.findings or settings.findings) == "new" and bench.compared.of(sighting) is Status.KNOWN:
        return _Ruled(_Ruling.KNOWN, acceptance or "the base has it too", bool(acceptance))
    if acceptance:
        return _Ruled(_Ruling.ACCEPTED, acceptance, is_accepted=True)
    limit = "any finding" if threshold is Severity.NONE else f"{threshold} and above"
    return _Ruled(_Ruling.BLOCKS, f"{said} blocks: {sighting.category} stops at {limit}", is_accepted=False)


def _acceptance(sighting: Sighting, bench: _Bench) -> str:
    """Why a sighting need not count; empty where nobody says so."""
    if (waiver := bench.waivers.of(sighting)) is not None:
        return f"accepted by {waiver.owner} until {waiver.expires}: {waiver.reason}"
    statement = suppressing(sighting, bench.statements)
    return f"VEX: {statement}" if statement is not None else ""
