"""The words of a rollout: where it stands, what may happen to it, and what it may ask to be done. Values alone."""

from dataclasses import dataclass
from enum import StrEnum

from tasks.core.judgement import CanaryVerdict


class Phase(StrEnum):
    """Where a rollout stands. Published in records: a contract."""

    PLANNED = "planned"
    PLACING = "placing"
    WATCHING = "watching"
    ASKING = "asking"
    SCALING = "scaling"
    PROMOTING = "promoting"
    UNDOING = "undoing"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"

    @property
    def is_final(self) -> bool:
        return self in (Phase.PROMOTED, Phase.ROLLED_BACK)


class Question(StrEnum):
    """What a person is asked. Published in approvals: a contract."""

    PROMOTE = "promote"
    PROMOTE_WITHOUT_PROOF = "promote-without-proof"
    WATCH_ON = "watch-on"


@dataclass(frozen=True)
class Began:
    """The rollout may start."""


@dataclass(frozen=True)
class Placed:
    """Every instance of the canary is ready."""


@dataclass(frozen=True)
class Judged:
    """The judge has looked at one more scrape."""

    verdict: CanaryVerdict
    reason: str


@dataclass(frozen=True)
class Approved:
    by: str


@dataclass(frozen=True)
class Rejected:
    by: str
    reason: str


@dataclass(frozen=True)
class ScaledUp:
    """The canary has as many instances as it needs to take all traffic, and all are ready."""


@dataclass(frozen=True)
class TookOver:
    """The canary is the stable release now."""


@dataclass(frozen=True)
class Removed:
    """The canary is gone."""


@dataclass(frozen=True)
class AbortAsked:
    """A person, a signal, or a step that could not be done ends the rollout."""

    reason: str


@dataclass(frozen=True)
class Ticked:
    """Time has passed and nothing else."""


Happening = Began | Placed | Judged | Approved | Rejected | ScaledUp | TookOver | Removed | AbortAsked | Ticked


@dataclass(frozen=True)
class Event:
    """Something that happened; `number` grows from one to the next."""

    number: int
    what: Happening


@dataclass(frozen=True)
class Place:
    """Put the canary beside the stable release."""


@dataclass(frozen=True)
class SetWeight:
    percent: float


@dataclass(frozen=True)
class ExtendWindow:
    """Watch until this many seconds after the canary got traffic."""

    until_seconds: float


@dataclass(frozen=True)
class Ask:
    question: Question


@dataclass(frozen=True)
class WithdrawQuestion:
    """Nobody needs to answer any more."""


@dataclass(frozen=True)
class ScaleUp:
    """Give the canary as many instances as it needs to take all traffic."""


@dataclass(frozen=True)
class TakeOver:
    """Make the canary the stable release."""


@dataclass(frozen=True)
class Remove:
    """Take the canary away."""


Action = Place | SetWeight | ExtendWindow | Ask | WithdrawQuestion | ScaleUp | TakeOver | Remove
