"""Which scans a run makes, over what, and why; and which it does not make, and what that leaves uncovered."""

from dataclasses import dataclass, field

from tasks.core.outcome import Outcome
from tasks.core.projects import Image
from tasks.core.security.scanner import Scan
from tasks.core.settings import ImageSettings


@dataclass(frozen=True)
class NotCovered:
    """Something nobody looked at: what, why, and how to cover it."""

    what: str
    why: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class PlannedScan:
    """One scan.

    `inputs` are the files whose content its result depends on, all of the target's when None. `settled` is the outcome
    of a scan that is not run; with `is_uncovered` it opens every report. `skipped` is what the plan itself could not
    hand to the scanner. `image` is built first, `overlays` are rendered first. `has_range` is set where the history is
    read from a base on.
    """

    id: str
    scanner: str
    scan: Scan = field(default_factory=Scan)
    inputs: tuple[str, ...] | None = None
    why: str = ""
    settled: Outcome | None = None
    is_uncovered: bool = False
    skipped: tuple[str, ...] = ()
    image: Image | None = None
    image_settings: ImageSettings | None = None
    overlays: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScanPlan:
    scans: tuple[PlannedScan, ...] = ()
    notes: tuple[str, ...] = ()

    def to_run(self) -> tuple[PlannedScan, ...]:
        return tuple(scan for scan in self.scans if scan.settled is None)

    def not_covered(self) -> tuple[NotCovered, ...]:
        """What the reader must be told first."""
        return tuple(
            NotCovered(scan.id, scan.settled.reason, scan.settled.remedy)
            for scan in self.scans
            if scan.is_uncovered and scan.settled is not None
        )
