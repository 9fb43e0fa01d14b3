"""Benchmarks of two revisions in turns: a pair is one run of each, in an order drawn by lot, one right after the other.

A machine that is slow for a minute is then slow for both sides of a pair, and neither side is always first. Each run
is a process of its own, so that nothing one run has warmed up helps the next.
"""

import json
import math
import os
import random
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, assert_never

from tasks.adapters.environments import Built
from tasks.adapters.process import Command, Ending, Need, run
from tasks.core.projects import is_within
from tasks.core.prose import last_line
from tasks.core.pull_requests.settings import pairs_of

_READABLE_BYTES = 64 << 20
_TIMER = Path(__file__).with_name("benchmark_timer")


class Runner(StrEnum):
    """What runs a project's benchmarks."""

    PYTEST = "pytest-benchmark"
    VITEST = "vitest bench"


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The benchmarks of one project. `files` are relative to its folder."""

    runner: Runner
    folder: str
    environment: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Side:
    """One revision, ready to run."""

    name: str
    tree: Path
    built: Built


@dataclass(frozen=True, kw_only=True)
class Orders:
    """How much is run: `pairs` for one benchmark, more for many. `seed` draws the order within each pair."""

    pairs: int
    seconds_per_benchmark: float
    timeout_seconds: float
    seed: int
    scratch: Path
    log: Path


@dataclass
class Measured:
    """Medians (base, head) in seconds by benchmark and pair; `trouble` is why a side has none, and whose it is."""

    pairs: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    only_head: tuple[str, ...] = ()
    only_base: tuple[str, ...] = ()
    trouble: str = ""
    troubled_side: str = ""
    is_cut_short: bool = False


class BenchmarksFailed(Exception):
    """A run left no figures; the text says why in one line."""


_PYTHON_TEST = re.compile(r"(^|/)(test_|bench_)[^/]*\.py$|_(test|bench)\.py$")
_USES_FIXTURE = re.compile(r"def\s+test\w*\s*\([^)]*\bbenchmark\b|pytest\.mark\.benchmark")
_NODE_BENCH = re.compile(r"\.bench(mark)?\.[cm]?[jt]sx?$")
_PYTHON_MANIFEST = re.compile(
    r"(^|/)(uv\.lock|poetry\.lock|pdm\.lock|pyproject\.toml|setup\.cfg|[^/]*requirements[^/]*)$"
)
_SKIPPED = ("node_modules/", ".venv/", "dist/")


def find_benchmarks(tree: Path, files: Iterable[str], projects: Iterable[tuple[Runner, str, str]]) -> tuple[Suite, ...]:
    """The suites of a tree's projects, each given as runner, folder and environment."""
    known = [path for path in files if not any(part in path for part in _SKIPPED)]
    found = [_suite(tree, known, *project) for project in projects]
    return tuple(suite for suite in found if suite is not None)


def _suite(tree: Path, files: list[str], runner: Runner, folder: str, environment: str) -> Suite | None:
    inside = sorted(path for path in files if is_within(path, folder))
    match runner:
        case Runner.PYTEST:
            manifests = (path for path in files if _PYTHON_MANIFEST.search(path))
            if not any("pytest-benchmark" in _text(tree / path) for path in manifests):
                return None
            chosen = [path for path in inside if _PYTHON_TEST.search(path) and _USES_FIXTURE.search(_text(tree / path))]
        case Runner.VITEST:
            if '"vitest"' not in _text(tree / folder / "package.json"):
                return None
            chosen = [path for path in inside if _NODE_BENCH.search(path)]
        case _:
            assert_never(runner)
    prefix = "" if folder == "." else f"{folder}/"
    names = tuple(path.removeprefix(prefix) for path in chosen)
    return Suite(runner=runner, folder=folder, environment=environment, files=names) if names else None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_READABLE_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


async def run_pairs(suites: Mapping[str, Suite], sides: Mapping[str, Side], orders: Orders) -> Measured:
    """All pairs of runs; `suites` and `sides` are by `base` and `head`. What breaks a run ends it with `trouble`."""
    measured, began = Measured(), time.monotonic()
    figures: dict[str, list[tuple[float, float]]] = defaultdict(list)
    chance = random.Random(orders.seed)  # noqa: S311  (a lot between two orders, no secret)
    names: dict[str, set[str]] = {"base": set(), "head": set()}
    number, pairs = 0, orders.pairs
    while number < pairs:
        order = chance.sample(("base", "head"), 2)
        medians: dict[str, dict[str, float]] = {}
        for name in order:
            left = orders.timeout_seconds - (time.monotonic() - began)
            if left <= 0:
                measured.is_cut_short = True
                break
            try:
                medians[name] = await run_once(suites[name], sides[name], orders, number=number, timeout_seconds=left)
            except BenchmarksFailed as failed:
                measured.trouble, measured.troubled_side = str(failed), name
                return measured
        if len(medians) < 2:
            break
        for name in names:
            names[name] |= medians[name].keys()
        for benchmark in medians["base"].keys() & medians["head"].keys():
            figures[benchmark].append((medians["base"][benchmark], medians["head"][benchmark]))
        number, pairs = number + 1, pairs_of(orders.pairs, len(figures))
    measured.pairs = dict(sorted(figures.items()))
    measured.only_head = tuple(sorted(names["head"] - names["base"]))
    measured.only_base = tuple(sorted(names["base"] - names["head"]))
    return measured


async def run_once(
    suite: Suite, side: Side, orders: Orders, *, number: int, timeout_seconds: float
) -> dict[str, float]:
    """The median seconds of each benchmark in one run. Raises BenchmarksFailed."""
    output = orders.scratch / f"{side.name}-{number}.json"
    output.unlink(missing_ok=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    log = orders.log.with_suffix(f".{side.name}-{number}.log")
    completion = await run(
        Command(
            argv=_argv(suite, side, output, orders),
            directory=side.tree / suite.folder,
            log=log,
            timeout_seconds=timeout_seconds,
            environment=_environment(side),
            needs=frozenset({Need.NETWORK}),
            writes=(orders.scratch,),
        )
    )
    if completion.ending is not Ending.EXITED or completion.exit_code:
        why = (
            completion.detail
            or f"{suite.runner} exited with {completion.exit_code}: {last_line(completion.tail)[:200]}"
        )
        raise BenchmarksFailed(f"{why} (see {log})")
    try:
        read = _READERS[suite.runner](json.loads(_text(output)))
    except (ValueError, KeyError, TypeError, AttributeError) as broken:
        raise BenchmarksFailed(f"{suite.runner} left no figures that can be read (see {log})") from broken
    finally:
        output.unlink(missing_ok=True)
    prefix = "" if suite.folder == "." else f"{suite.folder}/"
    return {f"{prefix}{name}": seconds for name, seconds in read.items() if math.isfinite(seconds) and seconds > 0}


def _argv(suite: Suite, side: Side, output: Path, orders: Orders) -> tuple[str, ...]:
    match suite.runner:
        case Runner.PYTEST:
            return (
                *(str(side.built.binaries / "python"), "-m", "pytest", "--rootdir=.", *suite.files),
                *("--benchmark-only", f"--benchmark-json={output}", "--benchmark-quiet", "--benchmark-warmup=on"),
                *(f"--benchmark-max-time={orders.seconds_per_benchmark:g}", "--benchmark-min-rounds=5"),
                *(
                    "--benchmark-timer=towpath_timer.read_seconds",
                    "--benchmark-disable-gc",
                    "-q",
                    "-p",
                    "no:cacheprovider",
                    "-p",
                    "no:randomly",
                    "--color=no",
                ),
            )
        case Runner.VITEST:
            program = str(side.built.binaries / "vitest")
            return (program, "bench", "--run", f"--outputJson={output}", *suite.files)
        case _:
            assert_never(suite.runner)


def _environment(side: Side) -> dict[str, str]:
    path = os.pathsep.join([str(side.built.binaries), os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "VIRTUAL_ENV": str(side.built.folder), "PYTHONPATH": str(_TIMER), "CI": "true"}


def read_pytest_benchmark(report: Any) -> dict[str, float]:
    """Benchmark to median seconds, from what --benchmark-json wrote."""
    return {str(each["fullname"]): float(each["stats"]["median"]) for each in report["benchmarks"]}


def read_vitest_bench(report: Any) -> dict[str, float]:
    """Benchmark to median seconds, from what `vitest bench --outputJson` wrote, in milliseconds.

    A group's name begins with its file and says which suite it is.
    """
    return {
        f"{group['fullName']} > {each['name']}": float(each["median"]) / 1000
        for file in report["files"]
        for group in file["groups"]
        for each in group["benchmarks"]
        if each.get("sampleCount", 1)
    }


_READERS: Mapping[Runner, Callable[[Any], dict[str, float]]] = {
    Runner.PYTEST: read_pytest_benchmark,
    Runner.VITEST: read_vitest_bench,
}


def clear(orders: Orders) -> None:
    shutil.rmtree(orders.scratch, ignore_errors=True)
