"""Which bounds of a histogram are looked at, and what a shift does to the requests over each."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.latency_bounds import (
    choose_bounds,
    choose_promote_bound,
    quantile_seconds,
    ratio_over,
    shares_over,
)

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0)


@pytest.mark.parametrize(
    ("over", "tested"),
    [
        pytest.param([0.9, 0.3, 0.01, 0.001, 0.0], [1, 2, 3, 4], id="in between and two above"),
        pytest.param([0.9, 0.3, 0.01, 0.005, 0.003], [1, 2, 3, 4], id="up to the last"),
        pytest.param([0.9, 0.001, 0.0, 0.0, 0.0], [1, 2], id="none in between"),
        pytest.param([0.3, 0.001, 0.0, 0.0, 0.0], [0, 1, 2], id="from the first"),
        pytest.param([0.9, 0.9, 0.9, 0.9, 0.9], [], id="all over the last bound"),
        pytest.param([], [], id="no bounds"),
    ],
)
def test_choice(over: list[float], tested: list[int]) -> None:
    """Tested are the bounds that 0.2 to 40 % of stable's requests exceed, and the next two above."""
    assert list(choose_bounds(over)) == tested


def test_promote_bound() -> None:
    """Health is shown at the bound stable exceeds in nearly one request in twenty."""
    assert choose_promote_bound([0.9, 0.3, 0.04, 0.001], [1, 2, 3]) == 2
    assert choose_promote_bound([0.9, 0.0, 0.0], [1, 2]) == 1


def test_shares() -> None:
    """The share over a bound is what the cumulative bucket leaves of all."""
    assert shares_over((50, 80, 100)) == [0.5, 0.2]


@given(st.floats(0.0, 0.5), st.floats(0.1, 3.0), st.integers(1, 4))
def test_ratio_of_a_power_law(slower: float, exponent: float, index: int) -> None:
    """Where the distribution is straight on logarithmic axes, the ratio is exact until the next bound below."""
    over = [0.9 * (BOUNDS[0] / bound) ** exponent for bound in BOUNDS]
    step = BOUNDS[index] / BOUNDS[index - 1]
    exact = (min(1 + slower, step)) ** exponent
    assert ratio_over(BOUNDS, over, index, slower) == pytest.approx(exact)


def test_ratio_without_any_over() -> None:
    """No request over a bound gives nothing to multiply."""
    assert ratio_over(BOUNDS, [0.9, 0.5, 0.0, 0.0, 0.0], 3, 0.05) == 1.0
    assert ratio_over(BOUNDS, [0.2, 0.1, 0.0, 0.0, 0.0], 0, 0.05) > 1.0


@pytest.mark.parametrize(
    ("buckets", "seconds"),
    [
        pytest.param((0, 90, 100, 100, 100, 100), 0.175, id="within"),
        pytest.param((0, 0, 0, 0, 0, 100), 1.0, id="beyond the last"),
        pytest.param((100, 100, 100, 100, 100, 100), 0.0475, id="below the first"),
        pytest.param((0, 0, 0, 0, 0, 0), None, id="no requests"),
        pytest.param((), None, id="no buckets"),
    ],
)
def test_quantile(buckets: tuple[float, ...], seconds: float | None) -> None:
    """The displayed quantile is straight within its bucket and never more than the last bound."""
    measured = quantile_seconds(BOUNDS, buckets)
    assert measured == (None if seconds is None else pytest.approx(seconds))


def test_logarithms_are_defined() -> None:
    """A share of exactly 5 % is as near as can be."""
    assert choose_promote_bound([0.05, 0.05 * math.e], [0, 1]) == 0
