"""What an environment of the local platform is meant to be: which releases, how many instances, what share.

Whoever may change the environment writes a new value of `Wanted`; the supervisor makes it so. Each release that is put
gets a generation of its own, so that an instance's name says for ever which release it belongs to, also after that
release has become the stable one. A release is never changed in place, and `revision` only ever grows.
"""

import math
import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, model_validator

from tasks.core.delivery_settings import ComponentSettings
from tasks.core.platform import PlatformTrouble, Role
from tasks.core.release import Release

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


class Group(BaseModel):
    """One release in an environment: its components as they were described when it was built, and their numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generation: int
    release: Release
    components: Mapping[str, ComponentSettings]
    replicas: Mapping[str, int]

    @model_validator(mode="after")
    def _describes_what_it_counts(self) -> "Group":
        if unknown := sorted(set(self.replicas) - set(self.components)):
            raise ValueError(f"no description of {', '.join(unknown)}")
        return self

    def instances(self) -> dict[str, str]:
        """The component of each wanted instance, by the instance's name."""
        return {
            f"{component}-{self.generation}-{number}": component
            for component, wanted in sorted(self.replicas.items())
            for number in range(1, wanted + 1)
        }


class Wanted(BaseModel):
    """An environment as it shall be. `port` is where its router listens; generations and revisions count from 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int
    revision: int = 0
    generation: int = 0
    stable: Group | None = None
    candidate: Group | None = None
    candidate_percent: float = 0.0

    def group(self, role: Role) -> Group | None:
        return self.stable if role is Role.STABLE else self.candidate

    def groups(self) -> tuple[Group, ...]:
        return tuple(group for group in (self.stable, self.candidate) if group is not None)


def with_candidate(
    wanted: Wanted, release: Release, components: Mapping[str, ComponentSettings], replicas: Mapping[str, int]
) -> Wanted:
    """A release beside the stable one, with no traffic."""
    if wanted.candidate is not None:
        there = wanted.candidate.release.version
        raise PlatformTrouble(
            f"{release.version} cannot be put: {there} is the candidate already; promote or remove it first"
        )
    _check_components(components)
    group = Group(
        generation=wanted.generation + 1,
        release=release,
        components=components,
        replicas=_counted(replicas, components, release.version),
    )
    return _next(wanted, generation=group.generation, candidate=group, candidate_percent=0.0)


def scaled(wanted: Wanted, role: Role, replicas: Mapping[str, int]) -> Wanted:
    """Other numbers of instances; a component that is not named keeps its own."""
    group = wanted.group(role)
    if group is None:
        raise PlatformTrouble(f"there is no {role} release to scale: put one first")
    counted = _counted({**group.replicas, **replicas}, group.components, group.release.version)
    return _next(wanted, **{role.value: group.model_copy(update={"replicas": counted})})


def weighted(wanted: Wanted, candidate_percent: float) -> Wanted:
    """Another share for the candidate. That there is none is no matter when the share is 0."""
    if not (math.isfinite(candidate_percent) and 0 <= candidate_percent <= 100):
        raise PlatformTrouble(f"a share of {candidate_percent} % cannot be given: it must be between 0 and 100")
    if wanted.candidate is None and candidate_percent > 0:
        raise PlatformTrouble("there is no candidate to give a share to: put one first")
    return _next(wanted, candidate_percent=float(candidate_percent))


def promoted(wanted: Wanted) -> Wanted:
    """The candidate as the stable release."""
    if wanted.candidate is None:
        raise PlatformTrouble("there is no candidate to promote: put one first")
    return _next(wanted, stable=wanted.candidate, candidate=None, candidate_percent=0.0)


def without_candidate(wanted: Wanted) -> Wanted:
    return _next(wanted, candidate=None, candidate_percent=0.0)


def _next(wanted: Wanted, **changes: object) -> Wanted:
    return wanted.model_copy(update={**changes, "revision": wanted.revision + 1})


def _counted(
    replicas: Mapping[str, int], components: Mapping[str, ComponentSettings], version: str
) -> Mapping[str, int]:
    if unknown := sorted(set(replicas) - set(components)):
        raise PlatformTrouble(
            f"{version} has no component {', '.join(unknown)}: it has {', '.join(sorted(components))}"
        )
    if negative := sorted(name for name, number in replicas.items() if number < 0):
        raise PlatformTrouble(f"{', '.join(negative)} of {version} cannot have fewer than 0 instances")
    return dict(replicas)


def _check_components(components: Mapping[str, ComponentSettings]) -> None:
    """Names become file names and names in the router's configuration; a path can belong to one component only."""
    owners: dict[str, str] = {}
    for name, component in components.items():
        if not _NAME.fullmatch(name):
            raise PlatformTrouble(f"{name!r} cannot name a component: letters, digits, - and _ only, 63 at most")
        for route in component.routes:
            other = owners.setdefault(route, name)
            if other != name:
                raise PlatformTrouble(f"{other} and {name} both answer {route}: give each its own routes")
