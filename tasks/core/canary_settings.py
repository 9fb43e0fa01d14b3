"""What a team says about canaries, under [delivery.canary] of towpath.toml."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from tasks.core.canary_policy import JudgePolicy
from tasks.core.rollout_plan import Otherwise, RolloutPlan
from tasks.core.section import Section

Percent = Annotated[float, Field(gt=0, lt=100)]
_BELONGS_ABOVE = ("deadline_seconds", "share", "scrape_seconds")


class CanarySettings(Section):
    """How a canary goes."""

    steps: Annotated[tuple[Percent, ...], Field(min_length=1)] = Field(
        (10.0,), description="per cent of the traffic, one after the other; each must have passed before the next"
    )
    step_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        60.0,
        description="seconds a step lasts at least, so that a step is not passed on the evidence of the last alone",
    )
    window_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        300.0, description="seconds the canary is watched before it must have shown itself"
    )
    max_window_seconds: Annotated[float, Field(gt=0, le=7 * 86_400)] | None = Field(
        None, description="seconds the window may grow to while the evidence says neither; unset means three windows"
    )
    on_inconclusive: Otherwise = Field(
        Otherwise.ROLL_BACK, description="what happens at the end without proof: roll-back, or ask a person"
    )
    scrape_seconds: Annotated[float, Field(ge=1, le=60)] = Field(
        5.0, description="seconds between two looks at the counters; each look may end the canary"
    )
    replicas: Mapping[str, Annotated[int, Field(ge=1, le=100)]] = Field(
        {}, description="instances of each component of the canary; 1 where nothing is said"
    )
    history_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        1800.0, description="seconds of the stable release's past that tell how its errors usually come"
    )
    judge: JudgePolicy = Field(default_factory=JudgePolicy)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if list(self.steps) != sorted(set(self.steps)):
            raise ValueError("steps must rise, for instance [5, 25, 50]")
        if self.longest_seconds < self.window_seconds:
            raise ValueError("max_window_seconds must not be less than window_seconds")
        fields = JudgePolicy.model_fields
        if wrong := [name for name in _BELONGS_ABOVE if getattr(self.judge, name) != fields[name].default]:
            raise ValueError(f"{wrong[0]} of the judge follows from [delivery.canary]: set it there")
        try:
            self.policy()
        except ValidationError as refused:
            raise ValueError(str(refused.errors()[0]["msg"]).removeprefix("Value error, ")) from refused
        return self

    @property
    def longest_seconds(self) -> float:
        return self.max_window_seconds if self.max_window_seconds is not None else 3 * self.window_seconds

    def policy(self, *, has_latency: bool = True) -> JudgePolicy:
        """The judge's rules with what follows from the plan of the canary, and from what can be measured at all."""
        plan: dict[str, object] = {"deadline_seconds": self.window_seconds, "share": self.steps[0] / 100}
        weights = {} if has_latency else {"error_weight": 1.0, "latency_weight": 0.0}
        chosen = self.judge.model_dump(exclude=set(_BELONGS_ABOVE))
        return JudgePolicy.model_validate(chosen | plan | weights | {"scrape_seconds": self.scrape_seconds})

    def plan(self, *, needs_approval: bool, approval_seconds: float) -> RolloutPlan:
        return RolloutPlan(
            steps=self.steps,
            step_seconds=self.step_seconds,
            window_seconds=self.window_seconds,
            max_window_seconds=self.longest_seconds,
            approval_seconds=approval_seconds,
            needs_approval=needs_approval,
            on_inconclusive=self.on_inconclusive,
        )
