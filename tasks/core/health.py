"""Whether an instance may get traffic, and whether it must be started again, from what its probes said.

An instance that was never ready is given its start time and nothing else is held against it. One that was ready loses
traffic before it loses its life: a busy moment must not become a restart.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

# The first miss of an instance that was ready may be a busy moment.
_READY_MISSES = 2
_LIVE_MISSES = 3


class Judgement(StrEnum):
    """What follows from the last probes."""

    READY = "ready"
    WAITING = "waiting"
    RESTART = "restart"


@dataclass(frozen=True)
class Probes:
    """What the last probes said against the instance; empty where they were answered well."""

    ready: str
    live: str


@dataclass(frozen=True)
class Health:
    """What is remembered from one round of probes to the next; `note` is why it is not ready, in words."""

    was_ready: bool = False
    ready_misses: int = 0
    live_misses: int = 0
    judgement: Judgement = Judgement.WAITING
    note: str = ""


def judged(health: Health, probes: Probes, *, seconds_up: float, start_seconds: float) -> Health:
    """The health after one more round of probes."""
    if not health.was_ready:
        return _starting(health, probes, seconds_up, start_seconds)
    ready_misses = health.ready_misses + 1 if probes.ready else 0
    live_misses = health.live_misses + 1 if probes.live else 0
    counted = replace(health, ready_misses=ready_misses, live_misses=live_misses)
    if live_misses >= _LIVE_MISSES:
        return replace(counted, judgement=Judgement.RESTART, note=f"not alive: {probes.live}")
    if ready_misses == 0:
        return replace(counted, judgement=Judgement.READY, note="")
    if ready_misses < _READY_MISSES and health.judgement is Judgement.READY:
        return counted
    return replace(counted, judgement=Judgement.WAITING, note=f"not ready: {probes.ready}")


def _starting(health: Health, probes: Probes, seconds_up: float, start_seconds: float) -> Health:
    if not probes.ready:
        return replace(health, was_ready=True, judgement=Judgement.READY, note="")
    if seconds_up >= start_seconds:
        return replace(
            health, judgement=Judgement.RESTART, note=f"not ready within {start_seconds:g} s: {probes.ready}"
        )
    return replace(health, judgement=Judgement.WAITING, note=f"starting: {probes.ready}")
