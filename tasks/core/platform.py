"""What an environment can be asked to do, whatever it runs on.

An environment holds a stable release and at most one candidate beside it, and its router gives the candidate a share
of the traffic. Rollouts, canaries and the guard are written against `Platform` and nothing else.

Every change carries the permit of whoever may change the environment now. A change under a permit that was taken away
raises `PermitRevoked` and changes nothing, so that a flow that wakes up late cannot undo what the guard did.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tasks.core.counters import Snapshot
from tasks.core.release import Release


class PlatformTrouble(Exception):
    """The platform could not do what was asked; the text says what, why and what to do, in one line."""


class PermitRevoked(PlatformTrouble):
    """Somebody else may change the environment now, and the text says who and why."""


class Role(StrEnum):
    """The two places a release can have in an environment. Published in records: a contract."""

    STABLE = "stable"
    CANDIDATE = "candidate"


@dataclass(frozen=True)
class Permit:
    """The right to change one environment, as the lock of the environment names it."""

    environment: str
    token: str


@dataclass(frozen=True)
class Instance:
    """One instance of a component; `note` says in words why it is not ready, `is_hopeless` that it never will be."""

    name: str
    component: str
    role: Role
    version: str
    is_ready: bool
    restarts: int = 0
    note: str = ""
    is_hopeless: bool = False


@dataclass(frozen=True)
class EnvironmentStatus:
    """What an environment is now. `candidate_percent` is the candidate's share as the router has it."""

    environment: str
    url: str
    stable: Release | None
    candidate: Release | None
    candidate_percent: float
    instances: tuple[Instance, ...]
    note: str = ""

    def of(self, role: Role) -> tuple[Instance, ...]:
        return tuple(instance for instance in self.instances if instance.role is role)

    def hopeless(self, role: Role) -> str:
        """What no waiting will mend, in words; empty when there is nothing such."""
        return next((f"{each.name}: {each.note}" for each in self.of(role) if each.is_hopeless), "")

    def lacking(self, role: Role, wanted: "dict[str, int]") -> str:
        """What is still missing until `wanted` instances of each component are ready, in words; empty when none is."""
        counts = {name: sum(each.is_ready for each in self.of(role) if each.component == name) for name in wanted}
        parts = [f"{name} {counts[name]} of {number} ready" for name, number in wanted.items() if counts[name] < number]
        notes = [f"{each.name}: {each.note}" for each in self.of(role) if each.note and not each.is_ready]
        return "; ".join([*parts, *notes[:3]]) if parts else ""


class Platform(Protocol):
    """One platform, for all its environments. Every method may raise PlatformTrouble."""

    @property
    def has_surroundings(self) -> bool:
        """Whether a release brings more than its components: databases, configuration, accounts."""

    async def preview(self, release: Release) -> tuple[str, ...]:
        """What putting the release would change beside its components' instances, a line each, for people to read."""

    async def surround(self, permit: Permit, release: Release) -> None:
        """Bring what the release's components need before any of them or a migration starts; nothing gets traffic."""

    async def put(self, permit: Permit, release: Release, replicas: dict[str, int]) -> None:
        """Put a release beside the stable one, with no traffic. Returns when it is wanted, not when it is ready."""

    async def scale(self, permit: Permit, role: Role, replicas: dict[str, int]) -> None:
        """Change how many instances of each component are wanted; those that go are drained first."""

    async def set_weight(self, permit: Permit, candidate_percent: float) -> None:
        """Give the candidate this share of the traffic. Returns when the router follows it."""

    async def promote(self, permit: Permit) -> None:
        """Make the candidate the stable release. The one it replaces is drained and removed."""

    async def remove(self, permit: Permit) -> None:
        """Take the candidate away, if there is one: its share goes to 0, then it is drained and removed."""

    async def status(self, environment: str) -> EnvironmentStatus:
        """What is there now."""

    async def snapshot(self, environment: str) -> Snapshot:
        """The counters of every instance now; `at` is the platform's own clock in seconds."""

    async def recent(self, environment: str, seconds: float) -> tuple[Snapshot, ...]:
        """The snapshots the platform itself took in the last seconds, oldest first; empty where it takes none."""
