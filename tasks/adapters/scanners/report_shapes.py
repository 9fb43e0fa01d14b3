"""Getting a scanner's report out of its text, or saying that it cannot be read.

A scanner's output is written by a program that has just read hostile files. It promises that text of any other shape
than the expected one, however deep or short, is Unreadable. It must never let half a report read as a whole one, and
never say a secret's value.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tasks.core.security.scanner import SCRATCH, TARGET
from tasks.core.security.sightings import Leak, Severity
from tasks.core.tools.contract import Unreadable

_WORDS = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "error": Severity.HIGH,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "warning": Severity.MEDIUM,
    "low": Severity.LOW,
    "info": Severity.LOW,
    "note": Severity.LOW,
    "none": Severity.NONE,
}
MASK = "***"


@contextmanager
def expected_shape(what: str) -> Iterator[None]:
    """Whatever is not as the reader expects it to be is Unreadable, `what` names the report."""
    try:
        yield
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as broken:
        raise Unreadable(f"{what} cannot be read") from broken


def json_report(text: str, what: str = "its JSON report") -> Any:
    with expected_shape(what):
        return json.loads(text)


def severity(word: str | None) -> Severity:
    """What a scanner's own word means; a word nobody knows is unknown, never harmless."""
    return _WORDS.get((word or "").lower(), Severity.UNKNOWN)


def below_target(path: str) -> str:
    """The path as seen from the target's root."""
    return path.removeprefix(f"{TARGET}/").removeprefix(f"{SCRATCH}/").removeprefix("./").lstrip("/")


def leak(value: str, kind: str) -> Leak:
    """SHA-1 is what detect-secrets prints: only so are two scanners' sightings of one value the same."""
    return Leak(fingerprint=hashlib.sha1(value.encode(), usedforsecurity=False).hexdigest(), kind=kind)


def unique(words: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))


def counted(number: int, one: str) -> str:
    return f"{number} {one}" if number == 1 else f"{number} {one}s"
