"""What one scan leaves: how it went and what was seen. Kept in Prefect's result storage, so no secret may be in it."""

from pydantic import BaseModel, ConfigDict, Field

from tasks.core.outcome import Outcome, Verdict
from tasks.core.security.sightings import Sighting


class ScanResult(BaseModel):
    """`passed` means done, whatever was found; the gate judges that. `evidence` is what the answer rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    scanner: str
    version: str = ""
    verdict: Verdict
    reason: str
    remedy: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    cached: bool = False
    log: str = ""
    looked_at: int = 0
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: dict[str, str] = Field(default_factory=dict)
    sightings: tuple[Sighting, ...] = ()


def settled_scan(scan_id: str, scanner: str, outcome: Outcome) -> ScanResult:
    """The result of a scan that was not run."""
    return ScanResult(
        id=scan_id, scanner=scanner, verdict=outcome.verdict, reason=outcome.reason, remedy=outcome.remedy
    )
