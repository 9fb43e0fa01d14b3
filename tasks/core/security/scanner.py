"""The shape of a scanner: what every entry of the catalogue declares, so that one place runs and judges all of them.

A scanner's clean answer is believed only with an exit code of its table, a report that can be read, a count of what it
looked at that is not zero, and its own bait found.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tasks.core.security.sightings import Category, Sighting
from tasks.core.tools.contract import Meaning, Output

# Where a scanner finds things inside its sandbox.
TARGET, SCRATCH, HISTORY, DATABASE, IMAGE = "/target", "/scratch", "/history", "/database", "/image.tar"


class Origin(StrEnum):
    """Where Towpath gets a scanner that is not on PATH."""

    PYTHON = "python"
    NODE = "node"
    NOWHERE = "nowhere"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What one scan is asked to look at; all paths are those inside the sandbox.

    `paths` are relative to TARGET; `options` are what the plan found out (lock, osv_url, range, frameworks, image ...);
    `files` are written into SCRATCH before the scanner starts, by name.
    """

    paths: tuple[str, ...] = (".",)
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def option(self, name: str) -> tuple[str, ...]:
        return self.options.get(name, ())

    def first(self, name: str, default: str = "") -> str:
        return next(iter(self.option(name)), default)


@dataclass(frozen=True, kw_only=True)
class ScanReading:
    """What a scanner's output says once it is understood.

    `looked_at` counts what it examined; `skipped` names what it was asked to look at and did not, each an error unless
    waived; `notes` are evidence for the reader (findings suppressed by comments or the target's own configuration);
    `secrets` are the values seen, to be scrubbed from logs: they must never be stored.
    """

    sightings: tuple[Sighting, ...]
    looked_at: int
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Bait:
    """A known finding: files of a scratch target, the scan over it, and the rules of which one must be reported.

    `commits` puts the files into a git history first. A bait is written so that Towpath's own source holds no secret.
    """

    files: Mapping[str, str]
    scan: Scan
    rules: frozenset[str]
    commits: bool = False


def no_variables(scan: Scan) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """One scanner.

    `package` and `version` are what Towpath installs, locked by hash; `program` the executable's name. `prepares` is a
    step before, with the same program, that must exit 0; `lists_materials` prints a CycloneDX bill of materials of the
    same input. `needs_network` gives it the host's network; `credentials` are
    the only variables of the user it may see. `remedy` says how to get it where Towpath cannot. `reports` are files it
    leaves in SCRATCH. `directory` is where it starts.
    """

    name: str
    program: str
    categories: tuple[Category, ...]
    origin: Origin
    package: str = ""
    version: str = ""
    version_arguments: tuple[str, ...] = ("--version",)
    exits: Mapping[int, Meaning]
    arguments: Callable[[Scan], tuple[str, ...]]
    read: Callable[[Output, Scan], ScanReading]
    variables: Callable[[Scan], Mapping[str, str]] = no_variables
    prepares: Callable[[Scan], tuple[str, ...]] | None = None
    lists_materials: Callable[[], tuple[str, ...]] | None = None
    reports: tuple[str, ...] = ()
    directory: str = TARGET
    needs_network: bool = False
    needs_history: bool = False
    needs_database: bool = False
    credentials: tuple[str, ...] = ()
    bait: Bait | None = None
    remedy: str = ""

    def meaning(self, exit_code: int) -> Meaning:
        return self.exits.get(exit_code, Meaning.BROKEN)
