"""The evidence's arithmetic: no factor can be expected to grow while its null hypothesis holds."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.core.sequential import (
    ERROR_MULTIPLIERS,
    PROMOTE_FACTORS,
    Counts,
    HarmWealth,
    PromoteWealth,
    SplitWealth,
    harm_cap,
    log_harm_factors,
    log_promote_factors,
    promote_cap,
)

requests = st.integers(1, 30)
rates = st.floats(0, 1)
ratios = st.floats(1, 2)
absolutes = st.floats(0, 0.1)
phis = st.floats(1, 10)
ROUNDING = 1e-9


def binomial(trials: int, probability: float) -> list[float]:
    return [
        math.comb(trials, count) * probability**count * (1 - probability) ** (trials - count)
        for count in range(trials + 1)
    ]


def expected_factors(
    canary: tuple[int, float], stable: tuple[int, float], *, promote: bool, ratio: float, absolute: float, phi: float
) -> list[float]:
    """The exact expectation of each factor, each arm being (requests, rate)."""
    size = len(PROMOTE_FACTORS) if promote else len(ERROR_MULTIPLIERS)
    means = [0.0] * size
    for canary_events, first in enumerate(binomial(*canary)):
        for stable_events, second in enumerate(binomial(*stable)):
            counts = Counts(canary[0], canary_events, stable[0], stable_events)
            logs = (
                log_promote_factors(counts, ratio=ratio, absolute=absolute, phi=phi, cap=math.inf)
                if promote
                else log_harm_factors(counts, ERROR_MULTIPLIERS, ratio=ratio, absolute=absolute, phi=phi, cap=math.inf)
            )
            means = [mean + first * second * math.exp(log) for mean, log in zip(means, logs, strict=True)]
    return means


@given(requests, requests, rates, ratios, absolutes, phis)
def test_harm_is_not_expected(canary: int, stable: int, rate: float, ratio: float, absolute: float, phi: float) -> None:
    """Each harm factor has an expectation of at most 1 when the canary is exactly at the tolerance, at any rate."""
    worst = ratio * rate + absolute
    assume(worst <= 1)
    means = expected_factors((canary, worst), (stable, rate), promote=False, ratio=ratio, absolute=absolute, phi=phi)
    assert max(means) <= 1 + ROUNDING


@given(requests, requests, rates, ratios, absolutes, phis)
def test_health_is_not_expected(
    canary: int, stable: int, rate: float, ratio: float, absolute: float, phi: float
) -> None:
    """Each promote factor has an expectation of at most 1 when the canary is exactly at the margin, at any rate."""
    margin = ratio * rate + absolute
    assume(margin <= 1)
    means = expected_factors((canary, margin), (stable, rate), promote=True, ratio=ratio, absolute=absolute, phi=phi)
    assert max(means) <= 1 + ROUNDING


def expected_in_bursts(size: int, phi: float) -> float:
    """The greatest expectation of a harm factor when every cause brings `size` errors, at equal rates in both arms."""
    causes = binomial(20, 0.1)
    means = [0.0] * len(ERROR_MULTIPLIERS)
    for first, of_first in enumerate(causes):
        for second, of_second in enumerate(causes):
            counts = Counts(100, first * size, 100, second * size)
            logs = log_harm_factors(counts, ERROR_MULTIPLIERS, ratio=1, absolute=0, phi=phi, cap=math.inf)
            means = [mean + of_first * of_second * math.exp(log) for mean, log in zip(means, logs, strict=True)]
    return max(means)


def test_bursts_need_phi() -> None:
    """Errors in bursts of five make no factor grow when phi is 5, and do when they are taken as independent."""
    assert expected_in_bursts(5, 5.0) <= 1 + ROUNDING
    assert expected_in_bursts(5, 1.0) > 10


@given(requests, st.integers(0, 30), requests, st.integers(0, 30))
def test_harm_without_absolute_is_conditional(canary: int, errors: int, stable: int, stable_errors: int) -> None:
    """Without an absolute tolerance the factor is the likelihood ratio of which arm each error came from."""
    counts = Counts(canary, errors, stable, stable_errors)
    logs = log_harm_factors(counts, (2.0,), ratio=1, absolute=0, phi=1, cap=math.inf)
    null = canary / (canary + stable)
    other = 2 * canary / (2 * canary + stable)
    likelihood = errors * math.log(other / null) + stable_errors * math.log((1 - other) / (1 - null))
    assert logs[0] == pytest.approx(likelihood, abs=1e-9)


@given(requests, st.integers(0, 20), requests, st.integers(0, 20), phis)
def test_each_error_speaks_against_the_canary(
    canary: int, errors: int, stable: int, stable_errors: int, phi: float
) -> None:
    """One more of the canary's requests failing never lowers a harm factor and never raises a promote factor."""
    one = Counts(canary + 30, errors, stable, stable_errors)
    more = one._replace(canary_events=errors + 1)
    harm = [
        log_harm_factors(counts, ERROR_MULTIPLIERS, ratio=1.05, absolute=0.0002, phi=phi, cap=3.0)
        for counts in (one, more)
    ]
    health = [log_promote_factors(counts, ratio=1, absolute=0.01, phi=phi, cap=3.0) for counts in (one, more)]
    assert all(before <= after for before, after in zip(*harm, strict=True))
    assert all(before >= after for before, after in zip(*health, strict=True))


@given(st.lists(st.tuples(requests, requests, st.integers(0, 30)), max_size=20), st.integers(0, 1000))
def test_cap_bounds_one_block(before: list[tuple[int, int, int]], errors: int) -> None:
    """Whatever one block holds, it multiplies harm by at most the cap and health by at most its own."""
    harm = HarmWealth(ERROR_MULTIPLIERS, planned_blocks=30, cap=harm_cap(8, 0.02, 3))
    promote = PromoteWealth(cap=promote_cap(0.05, 5))
    for canary, stable, failed in before:
        harm.multiply(Counts(canary, min(failed, canary), stable, 0), ratio=1.05, absolute=0.0002, phi=1)
        promote.multiply(Counts(canary, 0, stable, min(failed, stable)), ratio=1, absolute=0.01, phi=1)
    harm_before, promote_before = harm.value, promote.value
    harm.multiply(Counts(1000, errors, 1000, 0), ratio=1.05, absolute=0.0002, phi=1)
    promote.multiply(Counts(1000, 0, 1000, errors), ratio=1, absolute=0.01, phi=1)
    assert harm.value <= harm_before * math.exp(harm_cap(8, 0.02, 3)) * (1 + ROUNDING)
    assert promote.value <= promote_before * math.exp(promote_cap(0.05, 5)) * (1 + ROUNDING)


def test_a_component_needs_min_blocks() -> None:
    """At the cap in each block, one component of the mixture alone decides in min_blocks blocks and in no fewer."""
    cap = harm_cap(8, 0.02, 3)
    one_component = 0.5 / 8
    assert one_component * math.exp(2 * cap) < 25
    assert one_component * math.exp(3 * cap) >= 25


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=60), st.integers(1, 40))
def test_no_start_is_counted_twice(blocks: list[tuple[int, int]], planned: int) -> None:
    """Blocks that say nothing leave the wealth at 1: all that starts was set aside for it, however many blocks come."""
    harm = HarmWealth((1.0,), planned_blocks=planned, cap=1.0)
    for canary, stable in blocks:
        harm.multiply(Counts(canary, min(canary, 3), stable, 0), ratio=1, absolute=0, phi=1)
    assert harm.value == pytest.approx(1.0)


@pytest.mark.parametrize("counts", [Counts(0, 0, 50, 5), Counts(50, 50, 0, 0), Counts(0, 0, 0, 0)])
def test_an_arm_without_requests_says_nothing(counts: Counts) -> None:
    """A block without requests in either arm leaves every wealth as it was."""
    harm = HarmWealth(ERROR_MULTIPLIERS, planned_blocks=30, cap=2.0)
    promote = PromoteWealth(cap=1.0)
    harm.multiply(counts, ratio=1, absolute=0, phi=1)
    promote.multiply(counts, ratio=1, absolute=0.01, phi=1)
    assert (harm.value, promote.value) == (1.0, 1.0)


def test_wealth_stays_a_number() -> None:
    """Evidence without end in either direction neither overflows nor turns into something that is no number."""
    harm = HarmWealth(ERROR_MULTIPLIERS, planned_blocks=30, cap=math.inf)
    promote = PromoteWealth(cap=math.inf)
    split = SplitWealth(0.25)
    for failing in [1e6] * 50 + [0] * 50 + [1e6] * 50:
        counts = Counts(1e6, failing, 1e6, 1e6 - failing)
        harm.multiply(counts, ratio=1, absolute=0, phi=1)
        promote.multiply(counts, ratio=1, absolute=0.01, phi=1)
        split.multiply(failing, 1e6 - failing, share=0.1, phi=1)
        assert all(math.isfinite(wealth.value) for wealth in (harm, promote, split))


@given(st.integers(1, 40), st.floats(0.01, 0.7), st.floats(-1, 1))
def test_split_is_not_expected_wrong(trials: int, share: float, within: float) -> None:
    """A share anywhere within the tolerance gives evidence against the split an expectation of at most 1."""
    true_share = share * (1 + 0.25 * within)
    mean = 0.0
    for canary, probability in enumerate(binomial(trials, true_share)):
        split = SplitWealth(0.25)
        split.multiply(canary, trials - canary, share=share, phi=1)
        mean += probability * split.value
    assert mean <= 1 + ROUNDING


@pytest.mark.parametrize(
    ("canary", "stable", "share"),
    [
        pytest.param(300, 700, 0.1, id="too many"),
        pytest.param(20, 980, 0.1, id="too few"),
        pytest.param(1000, 0, 0.1, id="all"),
        pytest.param(50, 950, 0.0, id="none was set"),
    ],
)
def test_split_is_found_wrong(canary: int, stable: int, share: float) -> None:
    """A share far from the one set is found within a few blocks, in both directions."""
    split = SplitWealth(0.25)
    for _ in range(10):
        split.multiply(canary, stable, share=share, phi=10)
    assert split.value >= 1000
