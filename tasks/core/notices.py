"""What people are told when they need not be looking: which events, in which words, and how often.

It solves that a pipeline is silent when it matters and chatty when it does not. It promises one message for one thing
that happened, in a text a team may choose per event. A message must never hold a secret: it goes to chat rooms.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Self, assert_never

from pydantic import Field, model_validator

from tasks.core.records import Ending, Kind
from tasks.core.section import Section


class Event(StrEnum):
    """What may be worth telling."""

    GATE_FAILED = "gate_failed"
    APPROVAL_WANTED = "approval_wanted"
    CANARY_ABORTED = "canary_aborted"
    ROLLED_BACK = "rolled_back"
    RELEASED = "released"
    CHANGE_FAILED = "change_failed"
    GUARD_ACTED = "guard_acted"
    NEW_FINDINGS = "new_findings"
    SCHEDULE_MISSED = "schedule_missed"


def event_of(kind: Kind, ending: Ending) -> Event:
    """What the end of a change is told as."""
    match ending:
        case Ending.RELEASED:
            return Event.ROLLED_BACK if kind is Kind.ROLLBACK else Event.RELEASED
        case Ending.ROLLED_BACK:
            return Event.CANARY_ABORTED if kind is Kind.CANARY else Event.ROLLED_BACK
        case Ending.FAILED:
            return Event.CHANGE_FAILED
        case _:
            assert_never(ending)


_FIELDS = frozenset({"event", "target", "environment", "version", "text", "run"})
_PLAIN = "{text}"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One thing that happened; `about` tells it from all others of its event, so that it is told once."""

    event: Event
    target: str
    text: str
    about: str
    environment: str = ""
    version: str = ""
    run: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A file name: the same for the same thing."""
        thing = f"{self.event}\n{self.target}\n{self.environment}\n{self.about}"
        return f"{self.event}-{sha256(thing.encode()).hexdigest()[:16]}"

    def said(self, template: str = _PLAIN) -> str:
        """The message by a template; what a template names and the notice has not is empty."""
        values = {name: str(getattr(self, name)) for name in _FIELDS}
        return template.format_map(values)


class NotificationSettings(Section):
    """Who is told what, and how; the addresses themselves are secrets and stay in the environment."""

    url_variable: str = Field(
        "TOWPATH_NOTIFY_URL",
        description="variable with the addresses, apart by spaces: https:// gets a JSON object with `text` by POST,"
        " anything else is an Apprise address (slack://, msteams://, mailto://, pagerduty://)",
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = Field(
        10.0, description="seconds an address may take to answer"
    )
    events: tuple[Event, ...] = Field(tuple(Event), description="what is told; all by default")
    templates: dict[Event, str] = Field(
        {}, description="text per event, with {event}, {target}, {environment}, {version}, {text} and {run}"
    )

    @model_validator(mode="after")
    def _templates_are_plain(self) -> Self:
        for event, template in self.templates.items():
            try:
                parts = list(string.Formatter().parse(template))
            except ValueError as broken:
                raise ValueError(f"templates.{event}: {broken}") from broken
            for _, name, form, conversion in parts:
                # NOTE: {text.__class__} or {text[0]} would look into objects: only names are allowed.
                if name is not None and (name not in _FIELDS or form or conversion):
                    raise ValueError(f"templates.{event}: {{{name}}} is none of {', '.join(sorted(_FIELDS))}")
        return self

    def message_of(self, notice: Notice) -> str | None:
        """The text, None where this event is not told."""
        if notice.event not in self.events:
            return None
        return notice.said(self.templates.get(notice.event, _PLAIN))


# A try each, then a day of hourly ones: what nobody could be told by then is in `towpath status` and the record.
_WAITS_SECONDS = (10.0, 60.0, 300.0, 900.0, 3600.0)
MOST_TRIES = 30


def next_try_seconds(tries: int) -> float | None:
    """Seconds until the next try after so many; None when it is given up."""
    return None if tries >= MOST_TRIES else _WAITS_SECONDS[min(tries, len(_WAITS_SECONDS)) - 1]
