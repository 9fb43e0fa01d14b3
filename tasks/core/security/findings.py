"""What readers get of one problem: what it is, how severe, where, who saw it, and what the gate makes of it.

Published and stable: a field is added, never renamed. It holds no secret: a leak is told by its fingerprint's hash.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from tasks.core.security.sightings import Category, Severity


class Status(StrEnum):
    """Published: a contract. `open` is what it is where no base was compared with."""

    OPEN = "open"
    NEW = "new"
    KNOWN = "known"
    FIXED = "fixed"
    WAIVED = "waived"


class _Published(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScannerRating(_Published):
    """How severe one scanner says it is."""

    scanner: str = Field(description="who said it")
    severity: Severity = Field(description="critical, high, medium, low, none or unknown")
    source: str = Field("", description="whose rating the scanner passes on, for instance nvd or ghsa")
    vector: str = Field("", description="CVSS vector")
    score: float | None = Field(None, description="0 to 10")


class Location(_Published):
    """One place where it was seen."""

    path: str = Field(description="file, relative to the target's root, or inside the image")
    line: int | None = Field(None, description="first line, counted from 1")
    end_line: int | None = Field(None, description="last line")
    commit: str = Field("", description="commit it was seen in, where that is the history")
    image: str = Field("", description="image it was seen in, name@digest")


class Finding(_Published):
    """One problem, however many scanners saw it."""

    id: str = Field(description="the same in every run: a waiver names it")
    category: Category = Field(description="dependency, code, container, secret or iac")
    severity: Severity = Field(description="the most severe that any scanner says, or unknown where none does")
    title: str = Field(description="what is wrong")
    location: str = Field(description="the first place where it was seen")
    scanners: tuple[str, ...] = Field(description="all that saw it")
    status: Status = Field(description="open, new, known, fixed or waived")
    blocks: bool = Field(description="whether the gate stops at it")
    why: str = Field("", description="why it blocks or does not")
    rules: tuple[str, ...] = Field((), description="the scanners' own names for it, as scanner:rule")
    ratings: tuple[ScannerRating, ...] = Field((), description="what each scanner says")
    ids: tuple[str, ...] = Field((), description="all names of the advisory, or the weaknesses of the code")
    names: tuple[str, ...] = Field((), description="what a waiver must name beside the id")
    package: str = Field("", description="package that is vulnerable")
    version: str = Field("", description="its versions here")
    fixed_in: tuple[str, ...] = Field((), description="versions that mend it")
    locations: tuple[Location, ...] = Field((), description="every place where it was seen")
    remedy: str = Field("", description="what to do")
    url: str = Field("", description="where to read more")
