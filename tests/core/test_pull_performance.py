"""The performance gate's statistics: laws, exact values, and how often it is wrong in a seeded simulation."""

import itertools
import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.outcome import Verdict
from tasks.core.pull_requests.benchmarks import judge_benchmarks
from tasks.core.pull_requests.perf_gate import Speed, compare, hodges_lehmann, holm, signed_rank_p
from tasks.core.pull_requests.report import figure_of
from tasks.core.pull_requests.settings import BenchmarkSettings

SETTINGS = BenchmarkSettings()
differences = st.lists(st.integers(-1000, 1000).map(lambda number: number / 1000), min_size=1, max_size=9)
p_values = st.dictionaries(st.text(max_size=3), st.floats(0, 1), min_size=1, max_size=8)


def counted_p(values: Sequence[float]) -> float:
    """The same p-value by trying every pattern of signs."""
    sizes = [abs(value) for value in values]
    ranks = [sum(other < size for other in sizes) + (sizes.count(size) + 1) / 2 for size in sizes]
    observed = sum(rank for rank, value in zip(ranks, values, strict=True) if value > 0)
    sums = [sum(itertools.compress(ranks, signs)) for signs in itertools.product((False, True), repeat=len(values))]
    return sum(total >= observed for total in sums) / len(sums)


@given(differences)
def test_the_test_is_exact(values: list[float]) -> None:
    """The p-value is the share of all patterns of signs that rise at least as much, ties and zeros too."""
    assert signed_rank_p(values) == pytest.approx(counted_p(values))


@given(differences, st.integers(0, 8))
def test_a_larger_rise_is_never_less_significant(values: list[float], place: int) -> None:
    """Turning a fall into a rise never makes the p-value greater."""
    risen = [abs(value) if number == place else value for number, value in enumerate(values)]

    assert signed_rank_p(risen) <= signed_rank_p(values) + 1e-12


@given(differences)
def test_the_estimate_turns_with_the_sides(values: list[float]) -> None:
    """With base and head exchanged, estimate and interval change their sign and nothing else."""
    centre, low, high = hodges_lehmann(values, 0.05)
    turned = hodges_lehmann([-value for value in values], 0.05)

    assert turned == pytest.approx((-centre, -high, -low))
    assert low <= centre <= high


@pytest.mark.parametrize(("number", "left_out"), [(5, -1), (6, 0), (8, 3), (10, 8), (12, 13)])
def test_intervals_are_those_of_the_tables(number: int, left_out: int) -> None:
    """At 5 % the interval leaves out as many means at each end as printed tables of the signed-rank test say."""
    values = [float(2**power) for power in range(number)]
    means = sorted((one + other) / 2 for one, other in itertools.combinations_with_replacement(values, 2))
    _, low, _ = hodges_lehmann(values, 0.05)

    assert low == (-math.inf if left_out < 0 else means[left_out])


@given(p_values)
def test_holm_is_between_the_plain_value_and_bonferroni(given_values: dict[str, float]) -> None:
    """An adjusted value is never below its own and never above it times their number, and keeps their order."""
    adjusted = holm(given_values)

    assert all(
        given_values[name] <= value <= min(1.0, given_values[name] * len(given_values)) + 1e-12
        or value == max(adjusted[other] for other in adjusted if given_values[other] <= given_values[name])
        for name, value in adjusted.items()
    )
    ordered = sorted(given_values, key=lambda name: given_values[name])
    assert [adjusted[name] for name in ordered] == sorted(adjusted.values())


def simulated(seed: int, *, ratio: float, benchmarks: int, noise: Callable[[random.Random], float]) -> list[Speed]:
    """One decision over benchmarks of 5 ms, on a machine that drifts and stumbles."""
    chance = random.Random(seed)
    pairs: dict[str, list[tuple[float, float]]] = {f"b{number}": [] for number in range(benchmarks)}
    for _ in range(SETTINGS.pairs):
        drift = math.exp(chance.gauss(0, 0.3))
        for medians in pairs.values():
            medians.append((0.005 * drift * noise(chance), 0.005 * ratio * drift * noise(chance)))
    return [each.speed for each in compare(pairs, SETTINGS)]


def quiet(chance: random.Random) -> float:
    return math.exp(chance.gauss(0, 0.03))


def stumbling(chance: random.Random) -> float:
    return math.exp(chance.gauss(0, 0.05)) * (1.5 if chance.random() < 0.05 else 1.0)


@pytest.mark.parametrize("noise", [quiet, stumbling])
def test_false_alarms_are_fewer_than_one_in_twenty(noise: Callable[[random.Random], float]) -> None:
    """On identical code fewer than 5 % of whole runs over five benchmarks call any of them slower."""
    alarms = sum(Speed.SLOWER in simulated(seed, ratio=1.0, benchmarks=5, noise=noise) for seed in range(400))

    assert alarms / 400 < 0.05


@pytest.mark.parametrize("noise", [quiet, stumbling])
def test_a_fifth_slower_is_found(noise: Callable[[random.Random], float]) -> None:
    """A slow-down of 20 % is found at least nine times in ten, and otherwise is never called unchanged."""
    speeds = [simulated(seed, ratio=1.2, benchmarks=1, noise=noise)[0] for seed in range(400)]

    assert speeds.count(Speed.SLOWER) / 400 >= 0.9
    assert Speed.UNCHANGED not in speeds


def test_too_much_noise_is_inconclusive() -> None:
    """Where nothing can be told, nothing is said to have passed."""

    def wild(chance: random.Random) -> float:
        return math.exp(chance.gauss(0, 0.8))

    speeds = [simulated(seed, ratio=1.0, benchmarks=1, noise=wild)[0] for seed in range(100)]

    assert speeds.count(Speed.INCONCLUSIVE) > 80
    assert speeds.count(Speed.SLOWER) <= 4


def test_a_small_slowdown_is_let_through_and_a_gain_is_named() -> None:
    """What is slower by less than the threshold is unchanged, however certain; what is faster is said to be."""
    small = [(1.0, 1.03 + number / 1000) for number in range(12)]
    gain = [(1.0, 0.7 + number / 1000) for number in range(12)]

    assert [each.speed for each in compare({"a": small, "b": gain}, SETTINGS)] == [Speed.UNCHANGED, Speed.FASTER]


@pytest.mark.parametrize(
    ("ratio", "pairs", "trouble", "blocks", "verdict"),
    [
        (1.0, 12, ("", ""), False, Verdict.PASSED),
        (1.3, 12, ("", ""), False, Verdict.FAILED),
        (1.3, 3, ("", ""), False, Verdict.INCONCLUSIVE),
        (1.3, 3, ("", ""), True, Verdict.ERROR),
        (1.0, 0, ("", ""), False, Verdict.INCONCLUSIVE),
        (1.0, 12, ("head", "it broke"), False, Verdict.ERROR),
        (1.0, 12, ("base", "it broke"), False, Verdict.INCONCLUSIVE),
    ],
)
def test_verdicts(ratio: float, pairs: int, trouble: tuple[str, str], blocks: bool, verdict: Verdict) -> None:
    """Slower fails, a head that breaks is an error, and what cannot be told blocks only where that is asked."""
    medians = [(1.0, ratio + number / 1000) for number in range(pairs)]
    settings = BenchmarkSettings(inconclusive_blocks=blocks)
    comparisons = compare({"b": medians}, settings)
    result = judge_benchmarks(comparisons, settings, trouble=trouble, check_id="x")

    assert result.verdict is verdict
    assert verdict is Verdict.PASSED or result.remedy
    assert all(figure_of(each).model_dump_json() for each in comparisons)
