"""Findings as SARIF 2.1.0, in the form that GitHub's Security tab shows best.

It solves that GitHub tells alerts apart by tool: with a run for each scanner a problem that two of them saw would be
there twice. So every run is Towpath's own, one for each category, and says in each result who saw it. It promises that
an alert stays the same alert as long as the finding's id does. It must never say of what is waived that it is open.

A rule has one severity for all of its results there, so that what is no advisory has a rule for each severity.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tasks.core.security.findings import Finding, Location, Status
from tasks.core.security.identities import short
from tasks.core.security.severity import severity_of_score
from tasks.core.security.sightings import Category, Severity

Json = dict[str, Any]

# What GitHub keeps of one result and of one rule; it takes more and drops it.
LOCATIONS, TAGS = 100, 10
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_SCORES = {
    Severity.CRITICAL: 9.5,
    Severity.HIGH: 8.0,
    Severity.MEDIUM: 5.5,
    Severity.LOW: 2.0,
    Severity.NONE: 0.0,
}
_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.NONE: "note",
    Severity.UNKNOWN: "warning",
}
_STATES = {Status.NEW: "new", Status.KNOWN: "unchanged"}
_ADDRESS = re.compile(r"https?://[!-~]+")


def sarif_log(runs: Iterable[Json]) -> Json:
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": list(runs)}


def sarif_run(category: Category, number: int, findings: Sequence[Finding]) -> Json:
    """A category's run; GitHub takes runs of one tool in one file only where their ids differ."""
    rules: dict[str, list[Finding]] = {}
    for finding in findings:
        rules.setdefault(rule_of(finding), []).append(finding)
    indices = {name: index for index, name in enumerate(rules)}
    numbered = f"{category}-{number}" if number > 1 else str(category)
    return {
        "tool": {"driver": {"name": "Towpath", "rules": [_rule(name, found) for name, found in rules.items()]}},
        "automationDetails": {"id": f"towpath/{numbered}/"},
        "results": [_result(finding, indices) for finding in findings],
    }


def rule_of(finding: Finding) -> str:
    """An advisory in a package is a rule of its own; else what the id says before the place, with the severity."""
    kind, _, rest = finding.id.partition("/")
    match kind:
        case "code" | "iac":
            return f"{kind}/{rest.partition('/')[0]}/{finding.severity}"
        case "secret":
            return f"{kind}/{finding.rules[0].partition(':')[2] or 'secret'}/{finding.severity}"
        case _:
            return finding.id


def _rule(name: str, findings: Sequence[Finding]) -> Json:
    first = findings[0]
    score = None if first.severity is Severity.UNKNOWN else max(_score(finding) for finding in findings)
    cwes = [f"external/cwe/{weakness.lower()}" for weakness in first.ids if weakness.startswith("CWE-")]
    rule = {
        "id": name,
        "name": name,
        "shortDescription": {"text": first.title},
        "fullDescription": {"text": first.title},
        "defaultConfiguration": {"level": _LEVELS[first.severity]},
        "help": {"text": _help(first, plain=True), "markdown": _help(first, plain=False)},
        "properties": {
            "tags": ["security", str(first.category), *cwes][:TAGS],
            **({} if score is None else {"security-severity": f"{score:.1f}"}),
        },
    }
    return {**rule, "helpUri": first.url} if _ADDRESS.fullmatch(first.url) else rule


def _score(finding: Finding) -> float:
    """The worst score that somebody gave and that fits the severity, else the middle of the severity's range."""
    given = [each.score for each in finding.ratings if each.score is not None]
    fitting = [score for score in given if severity_of_score(score) is finding.severity]
    return max(fitting, default=_SCORES[finding.severity])


def _help(finding: Finding, *, plain: bool) -> str:
    lines = [
        finding.remedy or "No remedy is known to the scanners.",
        f"Names: {', '.join(finding.ids)}." if finding.ids else "",
        f"Mended in: {', '.join(finding.fixed_in)}." if finding.fixed_in else "",
        f"More: {finding.url}" if _ADDRESS.fullmatch(finding.url) else "",
    ]
    told = [line for line in lines if line]
    return "\n".join(told) if plain else "\n\n".join(map(_escaped, told))


def _escaped(text: str) -> str:
    """A scanner's words without markup of their own: they may come from the target."""
    return re.sub(r"([\\`*_{}\[\]<>|!#~])", r"\\\1", text)


def _result(finding: Finding, indices: Mapping[str, int]) -> Json:
    rule = rule_of(finding)
    result = {
        "ruleId": rule,
        "ruleIndex": indices[rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": _message(finding)},
        "locations": [_location(place) for place in finding.locations[:LOCATIONS]] or [_location(Location(path=""))],
        # NOTE: GitHub knows an alert again by this one fingerprint, and takes what we give in place of its own.
        "partialFingerprints": {"primaryLocationLineHash": f"{short(finding.id)}:1", "towpathId/v1": finding.id},
        "properties": _properties(finding),
    }
    if finding.status in _STATES:
        result["baselineState"] = _STATES[finding.status]
    if finding.status is Status.WAIVED:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": finding.why}]
    return result


def _message(finding: Finding) -> str:
    seen = ", ".join(f"{each.scanner} ({each.severity})" for each in finding.ratings) or ", ".join(finding.scanners)
    elsewhere = finding.locations[0] if finding.locations else Location(path="")
    lines = [
        finding.title,
        f"Seen by {seen}.",
        f"In image {elsewhere.image}." if elsewhere.image else "",
        f"In commit {elsewhere.commit}; it may be gone from the tree, and is known all the same."
        if elsewhere.commit
        else "",
        finding.remedy,
        f"Towpath: {finding.status}, {finding.why}. Id: {finding.id}",
    ]
    return "\n".join(line for line in lines if line)


def _location(place: Location) -> Json:
    """GitHub needs a file: where there is none, the image stands for it, or the target's own configuration."""
    path = place.path.lstrip("/") or place.image.partition("@")[0] or "towpath.toml"
    physical: Json = {"artifactLocation": {"uri": quote(path, safe="/", errors="replace")}}
    first = place.line if place.line and place.line > 0 else 1
    last = max(first, place.end_line or first)
    physical["region"] = {"startLine": first, "endLine": last}
    return {"physicalLocation": physical}


def _properties(finding: Finding) -> Json:
    return {
        "id": finding.id,
        "status": str(finding.status),
        "blocks": finding.blocks,
        "severity": str(finding.severity),
        "scanners": list(finding.scanners),
        "rules": list(finding.rules),
        "ratings": [each.model_dump(mode="json", exclude_none=True) for each in finding.ratings],
    }
