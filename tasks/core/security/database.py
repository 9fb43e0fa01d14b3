"""The date of a vulnerability database, as Trivy writes it beside the database in metadata.json."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime


class UnreadableDate(Exception):
    """The metadata is missing something, or is no metadata."""


@dataclass(frozen=True)
class DatabaseDate:
    """When it was made, and from when on a newer one is to be expected."""

    updated: datetime
    due: datetime

    def age_hours(self, now: datetime) -> float:
        """Negative for a database from the future, which only a wrong clock makes."""
        return (now - self.updated).total_seconds() / 3600

    def is_due(self, now: datetime) -> bool:
        return now >= self.due


def date_of(metadata: str) -> DatabaseDate:
    """Raises UnreadableDate. Format: {"Version": 2, "NextUpdate": RFC 3339, "UpdatedAt": RFC 3339, ...}."""
    try:
        read = json.loads(metadata)
        return DatabaseDate(_time(read["UpdatedAt"]), _time(read["NextUpdate"]))
    except (ValueError, KeyError, TypeError, AttributeError) as broken:
        raise UnreadableDate("the database's metadata cannot be read") from broken


def _time(text: str) -> datetime:
    """Go writes nanoseconds, of which Python reads the first six digits."""
    whole, dot, fraction = text.replace("Z", "+00:00").partition(".")
    if dot:
        digits = fraction[: len(fraction) - 6]
        whole += f".{digits[:6]}{fraction[-6:]}"
    return datetime.fromisoformat(whole).astimezone(UTC)
