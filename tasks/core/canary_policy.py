"""Every number the canary judge decides with, under one roof and each with its reason.

A canary is judged by what a team is willing to bear: how often a healthy release may be rolled back for nothing,
how much worse a bad one must be before it counts, and how sure a promotion has to be. Those are choices, so they are
configuration; nothing else of the judge is. A combination that cannot be judged is refused here, in one line, and
never silently bent into one that can.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from tasks.core.section import Section

Probability = Annotated[float, Field(gt=0, lt=0.5)]
Tolerance = Annotated[float, Field(ge=0, le=10)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Weight = Annotated[float, Field(ge=0, le=1)]
FEWEST_SCRAPES_BEFORE_STALE = 3
WEIGHT_PRECISION = 1e-9


class JudgePolicy(Section):
    """The plan of a canary, what is tolerated, what a promotion needs, and what counts as no evidence at all.

    Harm is "canary events > ratio x stable events + absolute"; health is "canary events < margin ratio x stable events
    + margin absolute". A weight of 0 takes a metric out of the judgement altogether; otherwise a metric that cannot be
    measured keeps a canary from passing.
    """

    scrape_seconds: float = Field(10.0, ge=1, le=300, description="seconds between two snapshots, as planned")
    deadline_seconds: float = Field(300.0, gt=0, le=86_400, description="seconds after which watching ends")
    share: float = Field(0.10, gt=0, lt=1, description="part of the traffic (0 to 1) the canary is planned to get")

    alpha: Probability = Field(
        0.02, description="probability that a canary no worse than the tolerance is aborted, over the whole window"
    )
    beta: Probability = Field(
        0.05, description="probability that a canary at least the margin worse is promoted, over the whole window"
    )

    error_ratio: float = Field(1.05, ge=1, le=10, description="harm tolerance: canary errors per stable errors")
    error_absolute: float = Field(
        0.0002, ge=0, lt=1, description="harm tolerance: share of requests (0 to 1) that may fail on top of the ratio"
    )
    latency_slower: Tolerance = Field(
        0.05, description="harm tolerance: 0.05 is 5 % slower than stable; 0 finds more but needs quiet instances"
    )

    promote_error_ratio: float = Field(
        1.0, ge=1, le=10, description="promotion margin: canary errors per stable errors"
    )
    promote_error_absolute: float = Field(
        0.01, gt=0, lt=1, description="promotion margin: share of requests (0 to 1); 0.01 is one point more errors"
    )
    promote_latency_slower: Tolerance = Field(0.25, description="promotion margin: 0.25 is 25 % slower than stable")

    min_requests: int = Field(200, ge=1, description="requests the canary must have answered before it can pass")
    min_bake_seconds: Seconds = Field(
        60.0, description="seconds before it can pass: some faults need time, not traffic"
    )
    hold_wealth: float = Field(
        5.0, gt=1, description="evidence of harm (to 1) from which a canary is held though its health is shown"
    )

    error_weight: Weight = Field(0.5, description="part of alpha that errors may use; 0: errors are not judged")
    latency_weight: Weight = Field(0.5, description="part of alpha that latency may use; 0: latency is not judged")

    phi_prior: float = Field(1.5, ge=1, le=100, description="overdispersion assumed before any was seen; 1 is none")
    phi_prior_events: float = Field(4.0, gt=0, le=1000, description="events the prior weighs as much as")
    instance_slack: float = Field(
        0.8, ge=0, le=10, description="standard deviations of chance before instances count as lastingly different"
    )

    min_blocks: int = Field(3, ge=1, le=100, description="fewest scrapes that can abort, so that no single burst does")
    promote_min_blocks: int = Field(5, ge=1, le=100, description="fewest scrapes that can show health")

    share_tolerance: float = Field(0.25, ge=0, lt=1, description="relative error of the split that is still right")
    share_alpha: Probability = Field(0.001, description="probability that a right split is called wrong")
    share_phi: float = Field(
        10.0, ge=1, le=1000, description="overdispersion of the split at least: keep-alive and sticky sessions lump it"
    )

    zero_window_seconds: float = Field(
        60.0, gt=0, le=86_400, description="seconds without a canary request before that is called no traffic"
    )
    zero_expected_requests: float = Field(
        8.0, gt=0, description="requests the canary should have had in that time; by chance none come in e^-8"
    )
    stale_seconds: float = Field(45.0, gt=0, le=86_400, description="seconds without readable metrics that still pass")

    max_restarts: int = Field(0, ge=0, le=1000, description="restarts of canary instances that are borne")
    warmup_error_seconds: Seconds = Field(
        10.0, description="age below which an instance's errors are left out, in both arms"
    )
    warmup_latency_seconds: Seconds = Field(
        30.0, description="age below which an instance's latency is left out, in both arms"
    )

    @property
    def planned_blocks(self) -> int:
        """Scrapes the plan has room for, at least 1."""
        return max(1, round(self.deadline_seconds / self.scrape_seconds))

    @model_validator(mode="after")
    def _must_be_judgeable(self) -> Self:
        fewest = FEWEST_SCRAPES_BEFORE_STALE * self.scrape_seconds
        if self.stale_seconds < fewest:
            raise ValueError(f"stale_seconds must be at least 3 scrapes: {fewest:g} s, not {self.stale_seconds:g}")
        if abs(self.error_weight + self.latency_weight - 1) > WEIGHT_PRECISION:
            raise ValueError(
                f"error_weight and latency_weight must add up to 1, not {self.error_weight + self.latency_weight:g}"
            )
        fewest_blocks = max(self.min_blocks, self.promote_min_blocks)
        if self.planned_blocks < fewest_blocks:
            raise ValueError(
                f"deadline_seconds has room for {self.planned_blocks} scrapes; {fewest_blocks} are needed to decide"
            )
        if self.min_bake_seconds > self.deadline_seconds:
            raise ValueError("min_bake_seconds must not be longer than deadline_seconds: nothing could ever pass")
        if self.promote_latency_slower < self.latency_slower:
            raise ValueError("promote_latency_slower must not be less than latency_slower: it would demand the better")
        return self
