"""A Lease as a value: who has it, and whether that one has given a sign of life for as long as somebody watched it.

Whoever watches compares no clocks. It notes when it first saw the sign of life that is there now, by a clock of its
own, and a Lease is dead when that was long ago. After a time in which the watcher saw nothing it begins anew.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tasks.core.safekeeping import Claim, Hold, moment

DEAD_SECONDS = 15.0
_GAP_SECONDS = 10.0
_HOLDER, _LEFT, _HOLD, _HOLDS = (f"towpath.dev/{name}" for name in ("holder", "left-seconds", "hold", "holds"))
_KEPT_HOLDS = 20


@dataclass(frozen=True)
class Sighting:
    """Since when a sign of life has been the last one, and when it was last seen so, on the watcher's clock."""

    sign: str
    since: float
    last: float

    @property
    def silent_seconds(self) -> float:
        return self.last - self.since


def sighted(before: Sighting | None, sign: str, now: float) -> Sighting:
    """What is known after one more look."""
    if before is None or before.sign != sign or not 0 <= now - before.last <= _GAP_SECONDS:
        return Sighting(sign, now, now)
    return replace(before, last=now)


@dataclass(frozen=True)
class Leased:
    """What a Lease says. `process` names the process that has it, `renewed` is the sign of life as it is written."""

    token: str = ""
    who: str = ""
    reason: str = ""
    run: str = ""
    process: str = ""
    since: float = 0.0
    renewed: str = ""
    left_seconds: float | None = None
    hold: Hold | None = None

    @property
    def sign(self) -> str:
        return f"{self.token} {self.renewed}"

    def __str__(self) -> str:
        run = f", run {self.run}" if self.run else ""
        return f"{self.who} since {moment(self.since)} ({self.reason}{run}, {self.process})"

    def seems_dead(self, now: float) -> bool:
        """By a clock that may be another than that which wrote it: worth a closer look, and no more than that."""
        try:
            written = datetime.fromisoformat(self.renewed).timestamp()
        except ValueError:
            return True
        return now - written > DEAD_SECONDS


def leased_from(lease: Mapping[str, Any] | None) -> Leased:
    """What is not to be understood is nobody's: it says nothing about a holder that could be alive."""
    if lease is None:
        return Leased()
    spec, notes = lease.get("spec") or {}, (lease.get("metadata") or {}).get("annotations") or {}
    hold = Hold(**json.loads(notes[_HOLD])) if _HOLD in notes else None
    if not (token := str(spec.get("holderIdentity") or "")):
        return Leased(hold=hold)
    told = json.loads(notes.get(_HOLDER) or "{}")
    return Leased(
        token=token,
        who=str(told.get("who", "somebody")),
        reason=str(told.get("reason", "unknown")),
        run=str(told.get("run", "")),
        process=str(told.get("process", "")),
        since=float(told.get("since", 0.0)),
        renewed=str(spec.get("renewTime") or ""),
        left_seconds=float(notes[_LEFT]) if _LEFT in notes else None,
        hold=hold,
    )


def claimed(lease: Mapping[str, Any], claim: Claim, *, process: str, now: datetime) -> dict[str, Any]:
    """The Lease as the claimant's."""
    told = {**asdict(claim), "process": process}
    del told["token"]
    before = (lease.get("spec") or {}).get("leaseTransitions") or 0
    spec = {
        "holderIdentity": claim.token,
        "leaseDurationSeconds": int(DEAD_SECONDS),
        "acquireTime": written(now),
        "renewTime": written(now),
        "leaseTransitions": int(before) + 1,
    }
    return _noted({**lease, "spec": spec}, {_HOLDER: json.dumps(told), _LEFT: None})


def renewed(lease: Mapping[str, Any], *, left_seconds: float | None, now: datetime) -> dict[str, Any]:
    """With a new sign of life of whoever has it."""
    left = None if left_seconds is None else f"{left_seconds:.1f}"
    return _noted({**lease, "spec": {**lease["spec"], "renewTime": written(now)}}, {_LEFT: left})


def freed(lease: Mapping[str, Any]) -> dict[str, Any]:
    """Nobody's; a person's hold stays."""
    spec = {"leaseTransitions": lease["spec"].get("leaseTransitions") or 0}
    return _noted({**lease, "spec": spec}, {_HOLDER: None, _LEFT: None})


def held(lease: Mapping[str, Any], hold: Hold) -> dict[str, Any]:
    """Kept by a person, who is on the list of those who ever did."""
    return _noted(_listed(lease, "held", hold), {_HOLD: json.dumps(asdict(hold))})


def lifted(lease: Mapping[str, Any], by: Hold) -> dict[str, Any]:
    return _noted(_listed(lease, "lifted", by), {_HOLD: None})


def _listed(lease: Mapping[str, Any], what: str, hold: Hold) -> dict[str, Any]:
    notes = (lease.get("metadata") or {}).get("annotations") or {}
    holds = [*json.loads(notes.get(_HOLDS) or "[]"), {what: asdict(hold)}]
    return _noted(lease, {_HOLDS: json.dumps(holds[-_KEPT_HOLDS:])})


def _noted(lease: Mapping[str, Any], notes: Mapping[str, str | None]) -> dict[str, Any]:
    metadata = dict(lease.get("metadata") or {})
    kept = {**(metadata.get("annotations") or {}), **notes}
    metadata["annotations"] = {name: text for name, text in kept.items() if text is not None}
    return {**lease, "metadata": metadata}


def written(now: datetime) -> str:
    """As a Lease writes a moment."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
