"""What a rollout is to be like, before anything has happened: a value that configuration is turned into."""

from dataclasses import dataclass
from enum import StrEnum


class Otherwise(StrEnum):
    """What becomes of a canary that has not shown itself good or bad when its time is over."""

    ROLL_BACK = "roll-back"
    ASK = "ask"


@dataclass(frozen=True, kw_only=True)
class RolloutPlan:
    """Shares in percent, rising; the window that is watched, and how far it may be extended."""

    steps: tuple[float, ...] = (10.0,)
    step_seconds: float = 60.0
    window_seconds: float = 300.0
    max_window_seconds: float = 900.0
    approval_seconds: float = 86_400.0
    needs_approval: bool = True
    on_inconclusive: Otherwise = Otherwise.ROLL_BACK
