"""What any forge can be told of a run: checks with places, labels, one comment, deployments.

It solves that the flows must not know GitHub, so that another forge is another adapter and nothing else. It promises
values that fit the narrowest limits known (GitHub's). It must never carry a secret: whatever is here will be public.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tasks.core.origin import Origin


class Conclusion(StrEnum):
    """How a check ended, or that it goes on."""

    GOES_ON = "goes on"
    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class Level(StrEnum):
    """How loud an annotation is."""

    NOTICE = "notice"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """Something said of one line of one file; lines count from 1."""

    path: str
    line: int
    level: Level
    message: str
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class ForgeCheck:
    """One check as a forge shows it. `key` tells it from all others of all runs: writing it again changes it."""

    key: str
    name: str
    conclusion: Conclusion
    title: str
    summary: str = ""
    details_url: str = ""
    annotations: tuple[Annotation, ...] = ()


class DeploymentState(StrEnum):
    """How far a change of an environment has come."""

    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, kw_only=True)
class ForgeDeployment:
    """One change of one environment; `key` is the run's, so that all its states are one deployment's."""

    key: str
    environment: str
    state: DeploymentState
    description: str
    details_url: str = ""
    is_production: bool = False


class ForgeRefused(Exception):
    """The forge will not do it, however often it is asked; the text is one line with what to do."""


class NoAccess(ForgeRefused):
    """Nobody here may ask the forge at all: whoever has a token may."""


class ForgeLater(Exception):
    """The forge could not do it now; `after_seconds` is when it wants to be asked again, 0 where it did not say."""

    def __init__(self, reason: str, *, after_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class Forge(Protocol):
    """A place where code lives and is reviewed. Each method may be repeated without doing anything twice, and raises
    ForgeRefused or ForgeLater."""

    async def write_check(self, origin: Origin, check: ForgeCheck) -> None:
        """Make the check, or change it where one with its key is there."""
        ...

    async def write_comment(self, origin: Origin, text: str, *, name: str) -> None:
        """One comment of this name on the pull request, edited in place."""
        ...

    async def write_labels(self, origin: Origin, wanted: frozenset[str], *, pool: frozenset[str]) -> tuple[str, ...]:
        """Add what is wanted; take away what Towpath had set of the pool and is wanted no more; what changed."""
        ...

    async def write_deployment(self, origin: Origin, deployment: ForgeDeployment) -> None:
        """Tell how far a change of an environment has come."""
        ...

    async def is_in_team(self, login: str, team: str) -> bool:
        """Whether somebody is in a team, which is ORG/TEAM; one who has yet to accept is not."""
        ...
