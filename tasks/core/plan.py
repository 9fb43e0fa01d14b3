"""A plan: which checks a run makes, over what, where, and why; and which it does not make, and why not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from tasks.core.environments import Environment
from tasks.core.outcome import Outcome
from tasks.core.projects import Image, is_within
from tasks.core.settings import ImageSettings


class CheckKind(StrEnum):
    TOOL = "tool"
    COVERAGE = "coverage"
    IMAGE = "image"


@dataclass(frozen=True)
class Inputs:
    """Which files a check's result depends on.

    Files below `folders` and files that belong to no project at all count, except those below `without`; `names`,
    when given, narrows that to files with one of these endings or names. `all_files` overrules everything.
    """

    folders: tuple[str, ...] = (".",)
    without: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def chosen(self, files: Iterable[str]) -> list[str]:
        return sorted(path for path in files if self.includes(path))

    def includes(self, path: str) -> bool:
        if self.patterns:
            return any(matches(path, pattern) for pattern in self.patterns)
        is_foreign = any(is_within(path, place) for place in self.without)
        is_inside = any(is_within(path, place) for place in self.folders)
        return is_inside and not is_foreign and (not self.names or path.endswith(self.names))


def matches(path: str, pattern: str) -> bool:
    """Whether a file belongs to a pattern: a folder, or a glob whose `*` also crosses folders."""
    clean = pattern.strip("/")
    return (
        is_within(path, clean)
        or fnmatchcase(path, clean)
        or ("/" not in clean and fnmatchcase(path.rpartition("/")[2], clean))
    )


@dataclass(frozen=True, kw_only=True)
class PlannedCheck:
    """One check of a plan.

    `settled` is the outcome of a check that needs no run: switched off, nothing to check, or a manifest that is
    broken. `follows` is the check whose measurements this one judges. `reproduce` is the command a person types to see
    the same. `version` is what the lock file says, `is_declared` whether the target names the tool at all.
    """

    id: str
    kind: CheckKind = CheckKind.TOOL
    tool: str = ""
    folder: str = "."
    environment: str | None = None
    inputs: Inputs = field(default_factory=Inputs)
    paths: tuple[str, ...] = (".",)
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    program: tuple[str, ...] = ()
    version: str = ""
    is_declared: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 1800.0
    why: str = ""
    reproduce: str = ""
    settled: Outcome | None = None
    follows: str | None = None
    minimum_percent: float = 0.0
    image: Image | None = None
    image_settings: ImageSettings | None = None


@dataclass(frozen=True)
class Plan:
    environments: tuple[Environment, ...] = ()
    checks: tuple[PlannedCheck, ...] = ()
    notes: tuple[str, ...] = ()

    def environment(self, check: PlannedCheck) -> Environment | None:
        return next((place for place in self.environments if place.id == check.environment), None)

    def to_run(self) -> tuple[PlannedCheck, ...]:
        return tuple(check for check in self.checks if check.settled is None and check.kind is not CheckKind.COVERAGE)

    def ordered(self, seconds: Mapping[str, float]) -> "Plan":
        """The same plan with the checks that took longest before first; unknown ones count as long."""
        heaviest = sorted(self.checks, key=lambda check: -seconds.get(check.id, float("inf")))
        return Plan(self.environments, tuple(heaviest), self.notes)
