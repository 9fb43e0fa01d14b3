"""What a run tells whoever watches it in the same process: the live table of the command line.

Watching never changes a run: events are frozen, nothing is awaited, and nobody watching is the usual case.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from tasks.core.approval import Answer, ApprovalRequest, Ruling
from tasks.core.judgement import Judgement
from tasks.core.plan import Plan
from tasks.core.records import Record, Step
from tasks.core.release import Release
from tasks.core.results import CheckResult, Report
from tasks.core.rollout import Rollout


@dataclass(frozen=True)
class RunStarted:
    """The flow run exists; `url` is its page in the Prefect UI."""

    run_id: str
    url: str


@dataclass(frozen=True)
class Planned:
    plan: Plan


@dataclass(frozen=True)
class Preparing:
    """An environment is being built, or was, after `seconds`."""

    environment: str
    seconds: float | None = None
    is_reused: bool = False


@dataclass(frozen=True)
class CheckStarted:
    id: str


@dataclass(frozen=True)
class CheckEnded:
    result: CheckResult


@dataclass(frozen=True)
class RunEnded:
    report: Report


@dataclass(frozen=True)
class StepStarted:
    """A step of a delivery has begun."""

    name: str


@dataclass(frozen=True)
class StepEnded:
    step: Step


@dataclass(frozen=True)
class ChangeOpened:
    """A release is about to reach an environment, whose address is `url`."""

    environment: str
    release: Release
    url: str


@dataclass(frozen=True)
class CanaryLooked:
    """The judge has looked at one more scrape."""

    judgement: Judgement
    rollout: Rollout


@dataclass(frozen=True)
class ApprovalAsked:
    request: ApprovalRequest


@dataclass(frozen=True)
class ApprovalHeard:
    """Somebody answered, and what it meant."""

    answer: Answer
    ruling: Ruling


@dataclass(frozen=True)
class DeliveryEnded:
    record: Record


@dataclass(frozen=True)
class ReplayEnded:
    """Past canaries judged again; `page` is Markdown."""

    page: str


Event = (
    RunStarted
    | Planned
    | Preparing
    | CheckStarted
    | CheckEnded
    | RunEnded
    | StepStarted
    | StepEnded
    | ChangeOpened
    | CanaryLooked
    | ApprovalAsked
    | ApprovalHeard
    | DeliveryEnded
    | ReplayEnded
)
watcher: ContextVar[Callable[[Event], None] | None] = ContextVar("watcher", default=None)


def tell(event: Event) -> None:
    if (watch := watcher.get()) is not None:
        watch(event)
