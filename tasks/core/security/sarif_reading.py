"""What a SARIF 2.1.0 report says, as sightings of one scanner.

It solves that most scanners have this format in common and nothing else. It promises that a result is never dropped in
silence: one that was suppressed is counted, one that is malformed makes the whole report unreadable. It must never take
a report that is cut short, of another version, without a run, or of a run that failed, for a clean one.

It reads plain JSON: to build sarif-pydantic's models of 100,000 results takes twice as long as all of the reading here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tasks.core.prose import flat
from tasks.core.security.identities import short
from tasks.core.security.sarif_places import Places, Seen
from tasks.core.security.sarif_rules import Rule, Rules, cwes_of
from tasks.core.security.scanner import ScanReading
from tasks.core.security.severity import rating_of
from tasks.core.security.sightings import (
    Category,
    Flaw,
    Leak,
    Misconfiguration,
    Rating,
    Severity,
    Sighting,
    Subject,
)
from tasks.core.tools.contract import Unreadable

Json = Mapping[str, Any]

_NO_PROBLEMS = frozenset({"pass", "notApplicable", "informational"})
_LONGEST = 300


def read_sarif(text: str, scanner: str, category: Category) -> ScanReading:
    """Raises Unreadable."""
    try:
        report = json.loads(text.removeprefix("\ufeff"))
        version, runs = report["version"], report["runs"]
        if version != "2.1.0":
            raise Unreadable(f"its SARIF report is of version {str(version)[:20]}, and only 2.1.0 is read")
        if not runs:
            raise Unreadable("its SARIF report holds no run")
        return _together([_read_run(run, scanner, category) for run in runs])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as broken:
        raise Unreadable("its SARIF report cannot be read") from broken


def _together(readings: Sequence[ScanReading]) -> ScanReading:
    """A run that lists no files has looked at one thing at least: it says that it succeeded."""
    return ScanReading(
        sightings=tuple(sighting for reading in readings for sighting in reading.sightings),
        looked_at=sum(reading.looked_at or 1 for reading in readings),
        notes=tuple(dict.fromkeys(note for reading in readings for note in reading.notes)),
    )


def _read_run(run: Json, scanner: str, category: Category) -> ScanReading:
    _refuse_failed(run)
    results = [result for result in run["results"] if _is_problem(result)]
    hidden = [result for result in results if _is_suppressed(result)]
    shown = [result for result in results if not _is_suppressed(result)] if hidden else results
    reader = _Reader(run, scanner, category)
    looked_at = _looked_at(run)
    return ScanReading(
        sightings=tuple(sighting for result in shown for sighting in reader.sightings(result)),
        looked_at=looked_at or len(reader.places.paths),
        notes=(*_hidden(hidden), *(() if looked_at else ("its report does not say how much it looked at",))),
    )


def _looked_at(run: Json) -> int:
    """Lines of code where CodeQL counted them, else the files that the report lists; 0 where it does not say."""
    metrics = (run.get("properties") or {}).get("metricResults") or ()
    lines = [int(one["value"]) for one in metrics if str(one.get("ruleId", "")).endswith("/lines-of-code")]
    return sum(lines) or len(run.get("artifacts") or ())


def _refuse_failed(run: Json) -> None:
    name = run["tool"]["driver"]["name"]
    for invocation in run.get("invocations") or ():
        if invocation.get("executionSuccessful") is not True:
            raise Unreadable(f"{name} says that it did not succeed: {_error(invocation) or 'it does not say why'}")
        if error := _error(invocation):
            raise Unreadable(f"{name} met an error: {error}")


def _error(invocation: Json) -> str:
    """What it says of the first error on its way; a broken configuration of a rule is one too."""
    for kind in ("toolExecutionNotifications", "toolConfigurationNotifications"):
        for told in invocation.get(kind) or ():
            if told.get("level", "warning") == "error":
                return flat(str(told["message"].get("text") or "an error that it does not explain"))[:_LONGEST]
    return ""


def _is_problem(result: Json) -> bool:
    return result.get("kind") not in _NO_PROBLEMS and result.get("baselineState") != "absent"


def _is_suppressed(result: Json) -> bool:
    """Suppressed is what somebody accepted; as long as one suppression is under review or rejected, it is not."""
    given = result.get("suppressions") or ()
    return bool(given) and all(one.get("status", "accepted") == "accepted" for one in given)


def _hidden(results: Sequence[Json]) -> Iterator[str]:
    if results:
        rules = sorted({str(result.get("ruleId") or "unnamed") for result in results})
        more = f" and {len(rules) - 5} more" if len(rules) > 5 else ""
        yield f"suppressed in its report: {len(results)} results ({', '.join(rules[:5])}{more})"


class _Reader:
    """One run's results; whatever many of them share is made once."""

    def __init__(self, run: Json, scanner: str, category: Category) -> None:
        self.scanner = scanner
        self.category = category
        self.rules = Rules(run["tool"])
        self.places = Places(run)
        self._ratings: dict[tuple[str | None, Any], Rating] = {}
        self._flaws: dict[tuple[str, ...], Flaw] = {}

    def sightings(self, result: Json) -> Iterator[Sighting]:
        """One for each place; SARIF gives several where all of them must be changed."""
        rule = self.rules.of(result)
        name = str(result.get("ruleId") or rule.id)
        title = self._title(result, rule, name)
        context = _context(self.scanner, result.get("partialFingerprints"))
        rating = self._rating(result, rule)
        places: Sequence[Json] = result.get("locations") or ({},)
        for place in places:
            seen = self.places.seen(place)
            yield Sighting(
                scanner=self.scanner,
                category=self.category,
                rule=name,
                title=title,
                rating=rating,
                spot=replace(seen.spot, context=context) if context else seen.spot,
                subject=self._subject(result, rule, seen, name),
                remedy=rule.remedy,
                url=rule.url,
            )

    def _title(self, result: Json, rule: Rule, name: str) -> str:
        """A secret's title is its rule's, since the message may quote it."""
        if self.category is Category.SECRET:
            return rule.title or name
        return flat(rule.message(result["message"]))[:_LONGEST] or rule.title or name

    def _rating(self, result: Json, rule: Rule) -> Rating:
        """GitHub's security-severity, the result's before its rule's, then the level, for which SARIF has a default."""
        score = (result.get("properties") or {}).get("security-severity", rule.score)
        level = result.get("level") or rule.level or "warning"
        # NOTE: what waits for a person's answer has the level none by the standard, which does not mean harmless.
        label = None if level == "none" and result.get("kind") in ("open", "review") else level
        if (label, score) not in self._ratings:
            self._ratings[label, score] = _rating(self.scanner, label, score)
        return self._ratings[label, score]

    def _subject(self, result: Json, rule: Rule, seen: Seen, name: str) -> Subject:
        """A report has no values of secrets: one is told by its rule and the place where it was."""
        match self.category:
            case Category.INFRASTRUCTURE:
                return Misconfiguration(resource=seen.resource or seen.spot.path)
            case Category.SECRET:
                place = f"{seen.spot.path}:{seen.spot.line}"
                return Leak(fingerprint=short(f"{name} {place}"), kind=name)
            case Category.CODE | Category.DEPENDENCY | Category.CONTAINER:
                cwes = tuple(dict.fromkeys((*rule.cwes, *cwes_of(result))))
                return self._flaws.setdefault(cwes, Flaw(cwes=cwes))


def _rating(scanner: str, label: str | None, score: object) -> Rating:
    """A score of 0 beside a level is how some scanners write that nobody has rated it."""
    number = None if score is None else _number(score)
    rating = rating_of(source=scanner, score=number, label=label)
    is_unrated = number == 0 and rating.severity is not Severity.NONE
    return replace(rating, severity=Severity.UNKNOWN) if is_unrated else rating


def _number(score: object) -> float:
    try:
        return float(str(score))
    except ValueError:
        return float("nan")


def _context(scanner: str, fingerprints: Json | None) -> str:
    """The scanner's own way to know a place again, as long as nobody has read the lines there."""
    if not fingerprints:
        return ""
    told = ",".join(f"{key}={fingerprints[key]}" for key in sorted(fingerprints))
    return short(f"{scanner} {told}")
