"""Findings as SARIF files that GitHub takes whole.

It solves that GitHub refuses a file that is too large, and of a run with too many results keeps the first without a
word. It promises that nothing is lost for its limits: more runs and more files are made, the most severe findings
first. What no file can hold is said by name. It must never leave out a finding in silence.

A run without results says that a category was scanned and is clean, and GitHub closes its alerts; so there is one for
each category that was scanned, and none for one that was not.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tasks.core.security.findings import Finding, Status
from tasks.core.security.sarif_writing import LOCATIONS, sarif_log, sarif_run
from tasks.core.security.sightings import Category


@dataclass(frozen=True)
class Limits:
    """GitHub takes 25,000 results and rules in a run, of which it shows 5,000; and 20 runs and 10 MB in a file."""

    runs: int = 20
    results: int = 5_000
    packed_bytes: int = 10_000_000


GITHUB = Limits()


@dataclass(frozen=True)
class SarifFiles:
    """The text of each file, and a line for whatever is not in them."""

    files: tuple[str, ...]
    left_out: tuple[str, ...] = ()


class Reported(Protocol):
    """Whatever has findings, the most severe first."""

    @property
    def findings(self) -> tuple[Finding, ...]: ...


@dataclass(frozen=True)
class _Run:
    category: Category
    findings: tuple[Finding, ...]


def split_sarif(report: Reported, *, scanned: Iterable[Category], limits: Limits = GITHUB) -> SarifFiles:
    """SARIF files within the limits, without the findings that are fixed.

    `scanned` are the categories of which every scan was done: only of them may a run without results say that nothing
    is there.
    """
    shown = [finding for finding in report.findings if finding.status is not Status.FIXED]
    runs = list(_runs(shown, frozenset(scanned), limits))
    left_out: list[str] = []
    grouped = [runs[start : start + limits.runs] for start in range(0, len(runs), limits.runs)] or [[]]
    fitting = [part for group in grouped for part in _fitting(group, limits, left_out)]
    crowded = [finding.id for finding in shown if len(finding.locations) > LOCATIONS]
    if crowded:
        left_out.append(f"SARIF: {_named(crowded)}: only the first {LOCATIONS} places are in it")
    return SarifFiles(tuple(_numbered(fitting)), tuple(left_out))


def _runs(findings: Sequence[Finding], scanned: frozenset[Category], limits: Limits) -> Iterator[_Run]:
    """Runs with as many results as GitHub shows, those with the most severe findings first."""
    by_category: dict[Category, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_category[finding.category].append(finding)
    yield from (
        _Run(category, tuple(found[start : start + limits.results]))
        for start in range(0, max(map(len, by_category.values()), default=0), limits.results)
        for category, found in by_category.items()
        if found[start : start + limits.results]
    )
    yield from (_Run(category, ()) for category in Category if category in scanned - by_category.keys())


def _fitting(runs: list[_Run], limits: Limits, left_out: list[str]) -> list[list[_Run]]:
    """The runs in as many files as they need, halved until each is small enough."""
    # NOTE: a kilobyte is kept for the numbers that runs get once all are known.
    if _packed_bytes(_text([(run, 1) for run in runs])) <= limits.packed_bytes - 1024:
        return [runs]
    halves = _halves(runs)
    if halves is None:
        names = [finding.id for run in runs for finding in run.findings]
        left_out.append(f"SARIF: {_named(names)}: left out, since it alone is larger than a file may be")
        return []
    return [part for half in halves for part in _fitting(half, limits, left_out)]


def _halves(runs: list[_Run]) -> tuple[list[_Run], list[_Run]] | None:
    if len(runs) > 1:
        return runs[: len(runs) // 2], runs[len(runs) // 2 :]
    if not runs or len(runs[0].findings) < 2:
        return None
    run, middle = runs[0], len(runs[0].findings) // 2
    return [_Run(run.category, run.findings[:middle])], [_Run(run.category, run.findings[middle:])]


def _numbered(groups: Iterable[list[_Run]]) -> Iterator[str]:
    counts: dict[Category, int] = defaultdict(int)
    for runs in groups:
        numbers = []
        for run in runs:
            counts[run.category] += 1
            numbers.append((run, counts[run.category]))
        yield _text(numbers)


def _text(runs: Iterable[tuple[_Run, int]]) -> str:
    made = (sarif_run(run.category, number, run.findings) for run, number in runs)
    return json.dumps(sarif_log(made), separators=(",", ":"))


def _packed_bytes(text: str) -> int:
    return len(gzip.compress(text.encode(), mtime=0))


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
