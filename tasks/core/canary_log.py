"""A canary as it was: its policy, every snapshot and verdict, and how it ended; enough to judge it again.

This is what `replay` reads, and what the report's plot is drawn from.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tasks.core.canary_settings import CanarySettings
from tasks.core.counters import Arm, Counters, Snapshot
from tasks.core.judgement import Judgement
from tasks.core.release import Release
from tasks.core.rollout_words import Phase


class CanaryLog(BaseModel):
    """The head of a recorded canary; its snapshots are lines of a file beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    environment: str
    run: str
    release: Release
    stable: str = Field(description="version of the release beside it")
    settings: CanarySettings
    has_latency: bool = True
    needs_approval: bool = True
    started: str
    phase: Phase = Phase.WATCHING
    why: str = ""
    ended_after_seconds: float | None = None


def snapshot_line(snapshot: Snapshot) -> dict[str, Any]:
    return asdict(snapshot)


def snapshot_of(line: Mapping[str, Any]) -> Snapshot:
    """Raises KeyError, TypeError or ValueError for a line that is none."""
    return Snapshot(
        at=float(line["at"]),
        share=float(line["share"]),
        canary=_arm(line["canary"]),
        stable=_arm(line["stable"]),
        bounds=tuple(map(float, line["bounds"])),
    )


def _arm(read: Mapping[str, Mapping[str, Any]] | None) -> Arm | None:
    if read is None:
        return None
    return {name: Counters(**{**counters, "buckets": tuple(counters["buckets"])}) for name, counters in read.items()}


def shifted(snapshot: Snapshot, *, origin: float, share: float) -> Snapshot:
    """The snapshot on the canary's own clock, whose zero is `origin` of the platform's."""
    return Snapshot(
        at=snapshot.at - origin,
        share=share,
        canary=_arm_shifted(snapshot.canary, origin),
        stable=_arm_shifted(snapshot.stable, origin),
        bounds=snapshot.bounds,
    )


def _arm_shifted(arm: Arm | None, origin: float) -> Arm | None:
    if arm is None:
        return None
    return {name: _counters_shifted(counters, origin) for name, counters in arm.items()}


def _counters_shifted(counters: Counters, origin: float) -> Counters:
    started = None if counters.started is None else counters.started - origin
    return Counters(counters.requests, counters.errors, counters.restarts, started, counters.buckets)


def evidence_of(judgement: Judgement) -> dict[str, str]:
    """What the record keeps of the last judgement."""
    seen = "unknown" if judgement.observed_share is None else f"{100 * judgement.observed_share:.1f} %"
    return {
        "verdict": judgement.verdict.value,
        "why": judgement.reason,
        "after": f"{judgement.at:.0f} s",
        "canary": f"{judgement.canary_errors:,} errors of {judgement.canary_requests:,} requests",
        "stable": f"{judgement.stable_errors:,} errors of {judgement.stable_requests:,} requests",
        "share": f"{seen}, {100 * judgement.expected_share:.1f} % was set",
        "evidence of harm": f"{judgement.harm_wealth:.3g}:1",
        "evidence of health": (
            f"errors {judgement.error_promote_wealth:.3g}:1, latency {judgement.latency_promote_wealth:.3g}:1"
        ),
        "p95": f"canary {_milliseconds(judgement.canary_p95_seconds)}, "
        f"stable {_milliseconds(judgement.stable_p95_seconds)} (for display only)",
        "overdispersion": f"{judgement.phi:.2f}",
    }


def _milliseconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{1000 * seconds:.0f} ms"


def changes_of(judgements: Iterable[Judgement]) -> tuple[Judgement, ...]:
    """The judgements at which the verdict changed, and the last one."""
    found: list[Judgement] = []
    last: Judgement | None = None
    for judgement in judgements:
        if last is None or judgement.verdict is not last.verdict:
            found.append(judgement)
        last = judgement
    if last is not None and found and found[-1] is not last:
        found.append(last)
    return tuple(found)
