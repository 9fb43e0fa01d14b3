"""How severe a problem is, from whatever a scanner said of it: a CVSS vector, a score, or a word.

It solves that every scanner has a scale of its own. It promises one order of levels, in which `unknown` has no place of
its own: whoever compares says first which level it counts as. What cannot be understood is unknown, never harmless.
"""

import math
from collections.abc import Iterable
from functools import lru_cache

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from tasks.core.security.sightings import Rating, Severity

# From harmless to worst.
LEVELS = (Severity.NONE, Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)

_WORDS = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "important": Severity.HIGH,
    "error": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "warning": Severity.MEDIUM,
    "low": Severity.LOW,
    "minor": Severity.LOW,
    "negligible": Severity.LOW,
    "note": Severity.LOW,
    "info": Severity.LOW,
    "none": Severity.NONE,
}
_FLOORS = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))


def as_level(severity: Severity, unknown_as: Severity) -> Severity:
    """A level of the order; where even `unknown_as` is unknown, the worst one, since nobody said anything milder."""
    chosen = unknown_as if severity is Severity.UNKNOWN else severity
    return Severity.CRITICAL if chosen is Severity.UNKNOWN else chosen


def at_least(severity: Severity, threshold: Severity) -> bool:
    """Whether a severity reaches a threshold: any does reach NONE, and an unknown severity reaches every threshold."""
    floor = Severity.NONE if threshold is Severity.UNKNOWN else threshold
    return LEVELS.index(as_level(severity, Severity.UNKNOWN)) >= LEVELS.index(floor)


def severity_of_score(score: float) -> Severity:
    """By the scale of CVSS 3 and 4, for version 2 too: its own ends at high, which would hide its worst from a gate."""
    if not math.isfinite(score) or not 0 <= score <= 10:
        return Severity.UNKNOWN
    return next((level for floor, level in _FLOORS if score >= floor), Severity.NONE)


def severity_of_label(label: str | None) -> Severity:
    """What a scanner's word means: those of npm, Trivy, bandit, distributions, and SARIF's levels."""
    return _WORDS.get((label or "").strip().lower(), Severity.UNKNOWN)


def rating_of(*, source: str, vector: str = "", score: float | None = None, label: str | None = None) -> Rating:
    """The best founded of what was said: the vector before the score before the word; a broken one falls to the next.

    A vector or score of 0 beside a word that says more is how unrated things are written, and the word counts.
    """
    word = severity_of_label(label)
    for found in (score_of_vector(vector), score):
        severity = Severity.UNKNOWN if found is None else severity_of_score(found)
        is_empty = severity is Severity.NONE and word is not Severity.NONE and label is not None
        if severity is not Severity.UNKNOWN and not is_empty:
            return Rating(severity=severity, source=source, vector=vector, score=found)
    return Rating(severity=word, source=source, vector=vector)


@lru_cache(maxsize=8192)
def score_of_vector(vector: str) -> float | None:
    """The base score of a CVSS vector of version 2, 3.0, 3.1 or 4.0; None where it is none."""
    text = vector.strip().strip("()")
    try:
        match text[:6]:
            case "":
                return None
            case "CVSS:4":
                return float(CVSS4(text).base_score)
            case "CVSS:3":
                return float(CVSS3(text).base_score)
            case _:
                return float(CVSS2(text).base_score)
    except (CVSSError, ValueError, KeyError, TypeError):
        return None


def most_severe(ratings: Iterable[Rating]) -> Rating:
    """The worst of what is known; unknown only where nobody knows. Raises ValueError without any rating."""
    return max(ratings, key=lambda rating: (_rank(rating.severity), rating.score or 0.0, rating.source, rating.vector))


def _rank(severity: Severity) -> int:
    return -1 if severity is Severity.UNKNOWN else LEVELS.index(severity)
