"""How often the performance gate is wrong on this machine: real processes of pytest-benchmark, in turns, decided as
`pr_checks` decides.

Each round is one whole decision over two benchmarks of 5 ms that are the same in base and head, and one over two that
are 20 % slower in the head, all four measured in the same runs. From the pairs of all rounds further decisions are
drawn by lot, which says more than the rounds alone where rounds are few.
"""

import argparse
import asyncio
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path

from tasks.adapters.benchmark_runs import Measured, Orders, Runner, Side, Suite, run_pairs
from tasks.adapters.benchmark_timer.towpath_timer import read_seconds
from tasks.adapters.environments import Built
from tasks.adapters.installer import find_uv
from tasks.core.environments import EnvironmentKind
from tasks.core.pull_requests.perf_gate import Speed, compare
from tasks.core.pull_requests.settings import BenchmarkSettings, pairs_of

_FILE = "test_speed.py"
_SAME, _SLOWER = ("test_same_one", "test_same_two"), ("test_slower_one", "test_slower_two")
_CODE = """
def work(steps):
    total = 0
    for step in range(steps):
        total += step * step % 7
    return total
"""
_DRAWN = 2000
Pairs = Mapping[str, Sequence[tuple[float, float]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8, help="whole decisions, half a minute to one each (default: 8)")
    parser.add_argument("--seconds", type=float, default=0.1, help="seconds of one benchmark in one run")
    parser.add_argument("--seed", type=int, default=1, help="of the order within pairs, and of what is drawn")
    chosen = parser.parse_args()
    settings = BenchmarkSettings(seconds_per_benchmark=chosen.seconds)
    with tempfile.TemporaryDirectory(prefix="towpath-perfgate-") as folder:
        rounds = asyncio.run(_measure(Path(folder), settings, rounds=chosen.rounds, seed=chosen.seed))
    _report(rounds, settings, random.Random(chosen.seed))
    return 0


async def _measure(folder: Path, settings: BenchmarkSettings, *, rounds: int, seed: int) -> list[Pairs]:
    built = _environment(folder)
    steps = _calibrated()
    sides = {
        "base": Side("base", _tree(folder / "base", steps, steps), built),
        "head": Side("head", _tree(folder / "head", steps, round(steps * 1.2)), built),
    }
    suite = Suite(runner=Runner.PYTEST, folder=".", environment="python:.", files=(_FILE,))
    found: list[Pairs] = []
    for number in range(rounds):
        began = time.monotonic()
        orders = Orders(
            pairs=settings.pairs,
            seconds_per_benchmark=settings.seconds_per_benchmark,
            timeout_seconds=settings.timeout_seconds,
            seed=seed + number,
            scratch=folder / "scratch",
            log=folder / "logs" / "run.log",
        )
        measured: Measured = await run_pairs({"base": suite, "head": suite}, sides, orders)
        if measured.trouble:
            raise SystemExit(measured.trouble)
        found.append(measured.pairs)
        print(f"round {number + 1} of {rounds}: {time.monotonic() - began:.0f} s", flush=True)
    return found


def _environment(folder: Path) -> Built:
    venv, uv = folder / "venv", str(find_uv())
    subprocess.run([uv, "venv", "--quiet", str(venv)], check=True)
    packages = ("pytest==9.0.*", "pytest-benchmark")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(venv), *packages], check=True)
    return Built("python:.", EnvironmentKind.PYTHON, venv, "", 0.0, is_reused=False)


def _calibrated() -> int:
    """How many steps of the work take 5 ms."""
    space: dict[str, object] = {}
    exec(_CODE, space)
    work = space["work"]
    assert callable(work)
    times = []
    for _ in range(20):
        began = read_seconds()
        work(100_000)
        times.append(read_seconds() - began)
    return round(100_000 * 0.005 / sorted(times)[10])


def _tree(folder: Path, same: int, slower: int) -> Path:
    folder.mkdir()
    steps = {**dict.fromkeys(_SAME, same), **dict.fromkeys(_SLOWER, slower)}
    tests = [f"def {name}(benchmark):\n    benchmark(work, {number})\n" for name, number in steps.items()]
    (folder / _FILE).write_text("\n\n".join([_CODE, *tests]))
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


def _report(rounds: list[Pairs], settings: BenchmarkSettings, chance: random.Random) -> None:
    medians = sorted(base for pairs in rounds for each in pairs.values() for base, _ in each)
    ratios = sorted(head / base for pairs in rounds for each in _of(pairs, _SAME).values() for base, head in each)
    count, median = pairs_of(settings.pairs, len(_SAME)), medians[len(medians) // 2]
    print(f"\n{len(rounds)} rounds of {count} pairs; median {median * 1e3:.2f} ms;")
    spread = ", ".join(f"{ratios[round(part * (len(ratios) - 1))]:.3f}" for part in (0.05, 0.5, 0.95))
    print(f"ratio of one pair on identical code, 5th, 50th and 95th percentile: {spread}\n")
    for title, names in (("identical code", _SAME), ("20 % slower", _SLOWER)):
        measured = Counter(speed for pairs in rounds for speed in _speeds(_of(pairs, names), settings))
        print(f"{title}, measured:          {_told(measured)}")
        alarms = sum(Speed.SLOWER in _speeds(_of(pairs, names), settings) for pairs in rounds)
        print(f"{title}, runs with `slower`: {_rate(alarms, len(rounds))}")
        drawn = Counter(
            speed for _ in range(_DRAWN) for speed in _speeds(_drawn(rounds, names, settings, chance), settings)
        )
        print(f"{title}, drawn by lot:      {_told(drawn)}\n")


def _of(pairs: Pairs, names: Sequence[str]) -> Pairs:
    """Of some benchmarks, as many pairs as would be run for them alone."""
    count = pairs_of(BenchmarkSettings().pairs, len(names))
    return {name: each[:count] for name, each in pairs.items() if name.rpartition("::")[2] in names}


def _speeds(pairs: Pairs, settings: BenchmarkSettings) -> list[Speed]:
    return [comparison.speed for comparison in compare(pairs, settings)]


def _drawn(rounds: list[Pairs], names: Sequence[str], settings: BenchmarkSettings, chance: random.Random) -> Pairs:
    """A decision that might have been: pairs of all rounds; of identical code, either side may be called the base."""
    found: dict[str, list[tuple[float, float]]] = {}
    for name in _of(rounds[0], names):
        pool = [pair for pairs in rounds for pair in pairs[name]]
        chosen = [chance.choice(pool) for _ in range(pairs_of(settings.pairs, len(names)))]
        is_same = name.rpartition("::")[2] in _SAME
        found[name] = [(pair[1], pair[0]) if is_same and chance.random() < 0.5 else pair for pair in chosen]
    return found


def _told(speeds: Counter[Speed]) -> str:
    return "; ".join(f"{speed} {_rate(speeds[speed], speeds.total())}" for speed in Speed if speeds[speed])


def _rate(count: int, of: int) -> str:
    """A share with Wilson's 95 % interval."""
    share, z = count / of, 1.96
    centre, half = share + z * z / (2 * of), z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = (centre - half) / (1 + z * z / of), (centre + half) / (1 + z * z / of)
    return f"{count}/{of} = {share:.1%} ({max(0.0, low):.1%} to {min(1.0, high):.1%})"


if __name__ == "__main__":
    raise SystemExit(main())
