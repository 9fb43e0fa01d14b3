"""Times in which nothing may be changed: every week, or once.

A weekly freeze is written as people say it (`Fri 16:00` to `Mon 08:00`) in the time zone they mean, so that it stays
right when the clocks change; a single one as two dates with times.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from tasks.core.section import Section

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKLY = re.compile(r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01]\d|2[0-3]):([0-5]\d)$", re.IGNORECASE)
_WEEK = timedelta(days=7)


class FreezeWindow(Section):
    """A time in which changes are refused, one table of [[delivery.freezes]]."""

    environments: tuple[str, ...] = Field(("production",), description="environments it holds for")
    start: str = Field(description='first moment, "Fri 16:00" for every week or "2026-12-24T12:00" for once')
    end: str = Field(description="the moment it is over, in the same form")
    timezone: str = Field("UTC", description="time zone of both, for instance Europe/Berlin")
    reason: str = Field(description="shown to whoever is refused")

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as unknown:
            raise ValueError(f"no time zone {name}; for instance UTC or Europe/Berlin") from unknown
        return name

    @model_validator(mode="after")
    def _is_readable(self) -> Self:
        if bool(_WEEKLY.match(self.start)) != bool(_WEEKLY.match(self.end)):
            raise ValueError('start and end must both be weekly ("Fri 16:00") or both dates ("2026-12-24T12:00")')
        if not _WEEKLY.match(self.start) and self._moment(self.start) >= self._moment(self.end):
            raise ValueError("start must be before end")
        return self

    def is_on(self, now: datetime) -> bool:
        """Whether the moment, which knows its zone, lies within."""
        local = now.astimezone(ZoneInfo(self.timezone))
        if not _WEEKLY.match(self.start):
            return self._moment(self.start) <= local < self._moment(self.end)
        start, end, at = _of_week(self.start), _of_week(self.end), _into_week(local)
        return (at - start) % _WEEK < ((end - start) % _WEEK or _WEEK)

    def _moment(self, text: str) -> datetime:
        try:
            return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(self.timezone))
        except ValueError as unreadable:
            raise ValueError(f'{text} is no moment; for instance "Fri 16:00" or "2026-12-24T12:00"') from unreadable


def _of_week(text: str) -> timedelta:
    found = _WEEKLY.match(text)
    assert found is not None
    return timedelta(days=_DAYS.index(found[1].lower()), hours=int(found[2]), minutes=int(found[3]))


def _into_week(moment: datetime) -> timedelta:
    return timedelta(days=moment.weekday(), hours=moment.hour, minutes=moment.minute, seconds=moment.second)


def freeze_on(windows: Iterable[FreezeWindow], environment: str, now: datetime) -> str:
    """Why nothing may change in the environment now; empty when it may."""
    for window in windows:
        if environment in window.environments and window.is_on(now):
            return f"{environment} is frozen from {window.start} to {window.end} {window.timezone}: {window.reason}"
    return ""
