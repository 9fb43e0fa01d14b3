"""What a SARIF 2.1.0 report says, as sightings of one scanner.

It solves that CodeQL and the scanners of a user's own have only this format in common. It promises that a run that says
it failed cannot be read, and that what it suppressed or stumbled over is said. It must never take a report without a
single run for a clean one.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.adapters.scanners.report_shapes import below_target, counted, expected_shape, json_report, leak, severity
from tasks.core.security.scanner import ScanReading
from tasks.core.security.sightings import (
    Category,
    Flaw,
    Misconfiguration,
    Rating,
    Severity,
    Sighting,
    Spot,
    Subject,
)
from tasks.core.tools.contract import Unreadable

_CWE = re.compile(r"cwe[-/]0*(\d+)$", re.IGNORECASE)
_LEVELS = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))
_NOT_PROBLEMS = frozenset({"pass", "notApplicable", "informational"})


def read_sarif(text: str, scanner: str, category: Category) -> ScanReading:
    report = json_report(text, "its SARIF report")
    with expected_shape("its SARIF report"):
        runs = report["runs"]
        if not runs or report["version"] != "2.1.0":
            raise Unreadable("its SARIF report holds no run of version 2.1.0")
        _refuse_failed(runs)
        open_ones = [(run, result) for run in runs for result in _results(run) if not _is_suppressed(result)]
        hidden = sum(_is_suppressed(result) for run in runs for result in _results(run))
        notes = [f"{counted(hidden, 'finding')} suppressed in its report"] if hidden else []
        looked_at = sum(_looked_at(run) for run in runs)
        return ScanReading(
            sightings=tuple(_sighting(run, result, scanner, category) for run, result in open_ones),
            looked_at=looked_at or len(runs),
            skipped=tuple(_stumbles(runs)),
            notes=(*notes, *(() if looked_at else ("its report does not say how much it looked at",))),
        )


def _results(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A run without the list has not been made; an empty list says that nothing was found."""
    results: list[Mapping[str, Any]] = run["results"]
    return [result for result in results if result.get("kind") not in _NOT_PROBLEMS]


def _refuse_failed(runs: list[Mapping[str, Any]]) -> None:
    for run in runs:
        if any(one.get("executionSuccessful") is False for one in run.get("invocations") or ()):
            raise Unreadable(f"{run['tool']['driver']['name']} says that it did not succeed")


def _is_suppressed(result: Mapping[str, Any]) -> bool:
    """A suppression that is under review or rejected does not count."""
    given = result.get("suppressions") or ()
    return any(one.get("status", "accepted") == "accepted" for one in given)


def _stumbles(runs: list[Mapping[str, Any]]) -> Iterator[str]:
    for run in runs:
        for invocation in run.get("invocations") or ():
            for told in invocation.get("toolExecutionNotifications") or ():
                if told.get("level") == "error":
                    yield str(told["message"].get("text", "an error it does not explain"))[:300]


def _looked_at(run: Mapping[str, Any]) -> int:
    """Lines of code where CodeQL counted them, else the files the report lists."""
    metrics = (run.get("properties") or {}).get("metricResults") or ()
    lines = [int(one["value"]) for one in metrics if str(one.get("ruleId", "")).endswith("/lines-of-code")]
    return sum(lines) or len(run.get("artifacts") or ())


def _sighting(run: Mapping[str, Any], result: Mapping[str, Any], scanner: str, category: Category) -> Sighting:
    rule = _rule(run, result)
    name = str(result.get("ruleId") or rule.get("id") or "unnamed")
    return Sighting(
        scanner=scanner,
        category=category,
        rule=name,
        title=str(result["message"].get("text") or name)[:500],
        rating=_rating(rule, result, scanner),
        spot=_spot(result),
        subject=_subject(rule, result, category, name),
        url=str(rule.get("helpUri") or ""),
    )


def _rule(run: Mapping[str, Any], result: Mapping[str, Any]) -> Mapping[str, Any]:
    tool = run["tool"]
    parts = [tool["driver"], *(tool.get("extensions") or ())]
    named = {rule["id"]: rule for part in parts for rule in part.get("rules") or ()}
    found: Mapping[str, Any] = named.get(result.get("ruleId") or (result.get("rule") or {}).get("id"), {})
    return found


def _rating(rule: Mapping[str, Any], result: Mapping[str, Any], scanner: str) -> Rating:
    """GitHub's `security-severity` where a rule has it, else the level."""
    score = (rule.get("properties") or {}).get("security-severity")
    if score is not None:
        level = next((level for least, level in _LEVELS if float(score) >= least), Severity.NONE)
        return Rating(severity=level, source=scanner, score=float(score))
    default = (rule.get("defaultConfiguration") or {}).get("level", "warning")
    return Rating(severity=severity(result.get("level", default)), source=scanner)


def _location(result: Mapping[str, Any]) -> Mapping[str, Any]:
    places: list[Mapping[str, Any]] = result.get("locations") or [{}]
    return places[0]


def _spot(result: Mapping[str, Any]) -> Spot:
    place = _location(result).get("physicalLocation") or {}
    region = place.get("region") or {}
    path = str((place.get("artifactLocation") or {}).get("uri", "")).removeprefix("file://")
    return Spot(path=below_target(path), line=region.get("startLine"), end_line=region.get("endLine"))


def _subject(rule: Mapping[str, Any], result: Mapping[str, Any], category: Category, name: str) -> Subject:
    """A report of secrets has no values: a secret is told by where it was."""
    if category is Category.INFRASTRUCTURE:
        logical = next(iter(_location(result).get("logicalLocations") or ()), None)
        resource = logical.get("fullyQualifiedName") if logical else ""
        return Misconfiguration(resource=str(resource or _spot(result).path))
    if category is Category.SECRET:
        return leak(f"{name} {_spot(result)}", name)
    tags = (rule.get("properties") or {}).get("tags") or ()
    found = [_CWE.search(str(tag)) for tag in tags]
    return Flaw(cwes=tuple(dict.fromkeys(f"CWE-{one[1]}" for one in found if one)))
