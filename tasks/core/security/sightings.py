"""What one scanner said once, in one shape for all of them.

A sighting is a claim, not yet a finding: the same problem seen by two scanners is two sightings and one finding. A
sighting never holds a secret's value: its leak is told by a fingerprint, and its title is free of it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from pydantic import ConfigDict

# What a kept sighting is read back with: its subjects are told apart by the fields they have.
_EXACT = ConfigDict(extra="forbid")


class Category(StrEnum):
    """What kind of problem it is. Published: a contract."""

    DEPENDENCY = "dependency"
    CODE = "code"
    CONTAINER = "container"
    SECRET = "secret"  # noqa: S105  (a category's name)
    INFRASTRUCTURE = "iac"


class Severity(StrEnum):
    """Published: a contract. `unknown` is a value of its own, for what nobody has rated."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """How severe somebody says it is; `source` says who (nvd, ghsa, bandit), `score` is 0 to 10."""

    severity: Severity
    source: str
    vector: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where it was seen.

    `path` is relative to the target's root, or inside the image where `image` (name@digest) is set; `commit` is set for
    what was seen in the history and may be gone from the tree. `context` is the hash of the surrounding lines, so that
    moved lines stay the same place; empty where it could not be read.
    """

    path: str
    line: int | None = None
    end_line: int | None = None
    commit: str = ""
    image: str = ""
    context: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        inside = f"{self.image} {place}".strip() if self.image else place
        return f"{inside} (commit {self.commit[:12]})" if self.commit else inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """A published vulnerability in a package; `ids` are its own name and all its aliases (CVE, GHSA, PYSEC, OSV)."""

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    ecosystem: str
    package: str
    version: str
    ids: tuple[str, ...]
    fixed_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """A weakness in the target's own code; `cwes` like CWE-78, empty where the rule names none."""

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    cwes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A secret where it should not be; `fingerprint` is what is kept in place of its value."""

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    fingerprint: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Misconfiguration:
    """A resource that is set up badly; `resource` is its address, for instance Deployment.default.web."""

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    resource: str


Subject = Advisory | Flaw | Leak | Misconfiguration


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One problem at one place as one scanner told it; `rule` is the scanner's own name for it."""

    scanner: str
    category: Category
    rule: str
    title: str
    rating: Rating
    spot: Spot
    subject: Subject
    remedy: str = ""
    url: str = ""
