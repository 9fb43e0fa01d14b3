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
from tasks.core.pull_requests.perf_gate import Speed, compare, exchange_p, hodges_lehmann
from tasks.core.pull_requests.report import figure_of
from tasks.core.pull_requests.settings import BenchmarkSettings, pairs_of

SETTINGS = BenchmarkSettings()
differences = st.lists(st.integers(-1000, 1000).map(lambda number: number / 1000), min_size=1, max_size=9)


def clearness(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    spread = math.sqrt(max(0.0, sum(value * value for value in values) / len(values) - mean * mean))
    return mean / spread if spread > 1e-9 else math.copysign(math.inf, mean) if abs(mean) > 1e-9 else 0.0


def counted_p(values: Sequence[float], among: Sequence[Sequence[float]]) -> float:
    """The clearest benchmark's p-value by trying every exchange of base and head within pairs, for all at once."""
    patterns = list(itertools.product((1, -1), repeat=len(values)))
    highest = [
        max(clearness([s * v for s, v in zip(signs, each, strict=True)]) for each in among) for signs in patterns
    ]
    return sum(each >= clearness(values) - 1e-7 for each in highest) / len(patterns)


noisy = st.lists(st.floats(0.001, 1.0) | st.floats(-1.0, -0.001), min_size=7, max_size=7, unique_by=abs)


@given(st.lists(noisy, min_size=1, max_size=4))
def test_the_test_is_exact(rows: list[list[float]]) -> None:
    """The clearest rise has as its p-value the share of all exchanges in which any benchmark rises as clearly."""
    found = exchange_p({str(number): row for number, row in enumerate(rows)})
    clearest = max(range(len(rows)), key=lambda number: clearness(rows[number]))

    assert found[str(clearest)] == pytest.approx(counted_p(rows[clearest], rows), abs=1e-9)
    assert found[str(clearest)] == min(found.values())


@given(st.lists(noisy, min_size=2, max_size=4))
def test_company_never_helps(rows: list[list[float]]) -> None:
    """No benchmark becomes more significant by standing beside others, and none is below the least that is possible."""
    together = exchange_p({str(number): row for number, row in enumerate(rows)})

    assert all(together[str(number)] >= exchange_p({"it": row})["it"] - 1e-9 for number, row in enumerate(rows))
    assert all(1 / 128 <= value <= 1.0 for value in together.values())


@given(noisy, st.integers(0, 6))
def test_a_certain_rise_is_the_least_likely(values: list[float], place: int) -> None:
    """What rises in every pair has the least p-value that so many pairs allow, and what falls in one a greater one."""
    rises = [abs(value) for value in values]
    fallen = [-value if number == place else value for number, value in enumerate(rises)]

    assert exchange_p({"it": rises})["it"] == pytest.approx(1 / 128)
    assert exchange_p({"it": fallen})["it"] > 1 / 128


def test_nothing_moved() -> None:
    """Without any difference nothing is significant, and nothing breaks."""
    assert exchange_p({"one": [0.0] * 6, "two": [0.0] * 6}) == {"one": 1.0, "two": 1.0}
    assert exchange_p({}) == {}


def test_a_benchmark_that_is_not_always_there() -> None:
    """One with fewer pairs is judged by itself, and both share the error rate."""
    rises = [0.2 + number / 100 for number in range(8)]
    found = exchange_p({"whole": rises, "other": [-rise * (1 + rise) ** 9 for rise in rises], "part": rises[:6]})

    assert found["whole"] == pytest.approx(2 / 256)
    assert found["part"] == pytest.approx(2 / 64)
    assert found["other"] > 0.9


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


def simulated(
    seed: int, *, ratio: float, benchmarks: int, noise: Callable[[random.Random], float], slower: int | None = None
) -> list[Speed]:
    """One decision over benchmarks of 5 ms, on a machine that drifts and stumbles; `slower` are as many as are."""
    chance = random.Random(seed)
    pairs: dict[str, list[tuple[float, float]]] = {f"b{number}": [] for number in range(benchmarks)}
    for _ in range(pairs_of(SETTINGS.pairs, benchmarks)):
        drift = math.exp(chance.gauss(0, 0.3))
        for number, medians in enumerate(pairs.values()):
            of_head = ratio if slower is None or number < slower else 1.0
            medians.append((0.005 * drift * noise(chance), 0.005 * of_head * drift * noise(chance)))
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


@pytest.mark.parametrize(("benchmarks", "pairs"), [(0, 12), (1, 12), (2, 14), (4, 15), (81, 22), (1000, 27)])
def test_pairs_rise_with_the_benchmarks(benchmarks: int, pairs: int) -> None:
    """Three pairs more for four times the benchmarks, never beyond what a setting may ask for."""
    assert pairs_of(12, benchmarks) == pairs
    assert pairs_of(100, benchmarks) == 100


@pytest.mark.parametrize("noise", [quiet, stumbling])
@pytest.mark.parametrize("benchmarks", [20, 120])
def test_many_benchmarks(benchmarks: int, noise: Callable[[random.Random], float]) -> None:
    """Among any number of benchmarks one that is 20 % slower is found nine times in ten, and no other is blamed."""
    runs = [simulated(seed, ratio=1.2, benchmarks=benchmarks, noise=noise, slower=1) for seed in range(50)]

    assert sum(speeds[0] is Speed.SLOWER for speeds in runs) / 50 >= 0.9
    assert sum(Speed.SLOWER in speeds[1:] for speeds in runs) / 50 < 0.05


@pytest.mark.parametrize("benchmarks", [1, 5, 100])
def test_significance_alone_keeps_the_rate(benchmarks: int) -> None:
    """Also without the threshold fewer than 5 % of runs on identical code have anything significant, however noisy."""
    settings = BenchmarkSettings(threshold_percent=0.001)

    def wild(chance: random.Random) -> float:
        return math.exp(chance.gauss(0, 0.3) * (5.0 if chance.random() < 0.1 else 1.0))

    runs, alarms = 300 if benchmarks < 100 else 100, 0
    for seed in range(runs):
        chance = random.Random(seed)
        pairs = {
            str(number): [(wild(chance), wild(chance)) for _ in range(settings.pairs)] for number in range(benchmarks)
        }
        alarms += any(each.speed is Speed.SLOWER for each in compare(pairs, settings))
    assert alarms / runs < 0.05


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
    ("gone", "retired", "ratio", "verdict", "words"),
    [
        (("a.py::test_b",), (), 1.0, Verdict.FAILED, "no longer has what the base measures: a.py::test_b"),
        (("a.py::test_b", "c.py"), ("a.py::*",), 1.0, Verdict.FAILED, "measures: c.py"),
        (("a.py::test_b",), (), 1.3, Verdict.FAILED, "1 of 1 slower: b by"),
        (("a.py::test_b",), ("a.py::*",), 1.0, Verdict.PASSED, "none of 1"),
        (("a.py", "b.bench.ts"), ("a.py::*", "b.bench.ts > *"), 1.0, Verdict.PASSED, "none of 1"),
        ((), (), 1.0, Verdict.PASSED, "none of 1"),
    ],
)
def test_benchmarks_that_are_gone(
    gone: tuple[str, ...], retired: tuple[str, ...], ratio: float, verdict: Verdict, words: str
) -> None:
    """A benchmark that the head no longer has is named and fails, unless the base says that it may go."""
    settings = BenchmarkSettings(retired=retired)
    comparisons = compare({"b": [(1.0, ratio + number / 1000) for number in range(12)]}, settings)
    result = judge_benchmarks(comparisons, settings, only_base=gone, check_id="x")

    assert result.verdict is verdict
    assert words in result.reason
    assert verdict is Verdict.PASSED or "pull_requests.benchmarks.retired" in result.remedy


def test_a_run_that_was_cut_short() -> None:
    """Where time ran out before enough pairs were done, it is the time that is to be raised."""
    comparisons = compare({"b": [(1.0, 1.3 + number / 1000) for number in range(3)]}, SETTINGS)
    result = judge_benchmarks(comparisons, SETTINGS, is_cut_short=True, check_id="x")

    assert result.verdict is Verdict.INCONCLUSIVE
    assert "raise pull_requests.benchmarks.timeout_seconds" in result.remedy


def test_suites_share_the_error_rate() -> None:
    """Of two suites each has half of the error rate."""
    pairs = {"a": [(1.0, 1.2 + number / 1000) for number in range(6)]}
    whole, half = (compare(pairs, BenchmarkSettings(), parts=parts)[0] for parts in (1, 2))

    assert (whole.speed, half.speed) == (Speed.SLOWER, Speed.INCONCLUSIVE)
    assert half.p_value == 2 * whole.p_value


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
