"""What the judge may be told, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.core.canary_policy import JudgePolicy


def test_defaults() -> None:
    """The defaults are the ones the published figures were simulated with."""
    assert JudgePolicy().model_dump() == {
        "scrape_seconds": 10,
        "deadline_seconds": 300,
        "share": 0.1,
        "alpha": 0.02,
        "beta": 0.05,
        "error_ratio": 1.05,
        "error_absolute": 0.0002,
        "latency_slower": 0.05,
        "promote_error_ratio": 1.0,
        "promote_error_absolute": 0.01,
        "promote_latency_slower": 0.25,
        "min_requests": 200,
        "min_bake_seconds": 60,
        "hold_wealth": 5,
        "error_weight": 0.5,
        "latency_weight": 0.5,
        "phi_prior": 1.5,
        "phi_prior_events": 4,
        "instance_slack": 0.8,
        "min_blocks": 3,
        "promote_min_blocks": 5,
        "share_tolerance": 0.25,
        "share_alpha": 0.001,
        "share_phi": 10,
        "zero_window_seconds": 60,
        "zero_expected_requests": 8,
        "stale_seconds": 45,
        "max_restarts": 0,
        "warmup_error_seconds": 10,
        "warmup_latency_seconds": 30,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"stale_seconds": 29}, "stale_seconds must be at least 3 scrapes: 30 s, not 29", id="stale"),
        pytest.param({"error_weight": 0.6}, "must add up to 1, not 1.1", id="weights"),
        pytest.param({"deadline_seconds": 40, "min_bake_seconds": 0}, "room for 4 scrapes; 5 are needed", id="plan"),
        pytest.param({"min_bake_seconds": 301}, "nothing could ever pass", id="bake"),
        pytest.param({"promote_latency_slower": 0.01}, "it would demand the better", id="margin"),
        pytest.param({"alpha": 0}, "greater than 0", id="alpha"),
        pytest.param({"share": 1.0}, "less than 1", id="share"),
        pytest.param({"aplha": 0.01}, "Extra inputs", id="unknown"),
    ],
)
def test_refused(given: dict[str, float], message: str) -> None:
    """A policy nobody could be judged by is refused in one line that names the field."""
    with pytest.raises(ValidationError, match=message):
        JudgePolicy.model_validate(given)


@given(
    st.floats(5, 15),
    st.integers(5, 100),
    st.floats(0.01, 0.5),
    st.floats(0.001, 0.2),
    st.floats(0, 1),
)
def test_round_trip(scrape: float, blocks: int, share: float, alpha: float, weight: float) -> None:
    """A policy written down and read again is the same policy."""
    policy = JudgePolicy(
        scrape_seconds=scrape,
        deadline_seconds=scrape * blocks,
        share=share,
        alpha=alpha,
        error_weight=weight,
        latency_weight=1 - weight,
        min_bake_seconds=0,
    )
    assert JudgePolicy.model_validate_json(policy.model_dump_json()) == policy
    assert policy.planned_blocks == blocks


def test_every_field_says_why() -> None:
    """Each number has a description, since the reference is generated from it."""
    assert all(field.description for field in JudgePolicy.model_fields.values())
