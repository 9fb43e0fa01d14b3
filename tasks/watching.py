"""What a run tells whoever watches it in the same process: the live table of the command line.

Watching never changes a run: events are frozen, nothing is awaited, and nobody watching is the usual case.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from tasks.core.plan import Plan
from tasks.core.results import CheckResult, Report


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


Event = RunStarted | Planned | Preparing | CheckStarted | CheckEnded | RunEnded
watcher: ContextVar[Callable[[Event], None] | None] = ContextVar("watcher", default=None)


def tell(event: Event) -> None:
    if (watch := watcher.get()) is not None:
        watch(event)
