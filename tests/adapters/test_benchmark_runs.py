"""Finding and running benchmarks: which files are some, and what real runs leave."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from tasks.adapters.benchmark_runs import (
    Orders,
    Runner,
    Side,
    Suite,
    find_benchmarks,
    read_pytest_benchmark,
    read_vitest_bench,
    run_pairs,
)
from tasks.adapters.environments import Built
from tasks.adapters.installer import find_uv
from tasks.core.environments import EnvironmentKind

BENCH = "def test_speed(benchmark):\n    benchmark(sum, range({steps}))\n"


def write(folder: Path, files: dict[str, str]) -> list[str]:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return list(files)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"pyproject.toml": "pytest-benchmark", "tests/test_a.py": BENCH}, ("tests/test_a.py",)),
        ({"requirements-dev.txt": "pytest-benchmark", "bench_a.py": BENCH}, ("bench_a.py",)),
        ({"pyproject.toml": "pytest", "tests/test_a.py": BENCH}, ()),
        ({"pyproject.toml": "pytest-benchmark", "tests/test_a.py": "def test_a():\n    benchmark = 1\n"}, ()),
        ({"pyproject.toml": "pytest-benchmark", "a.py": BENCH}, ()),
    ],
)
def test_python_benchmarks(tmp_path: Path, files: dict[str, str], found: tuple[str, ...]) -> None:
    """A test that asks for the fixture is a benchmark where the manifest or lock names the plugin."""
    suites = find_benchmarks(tmp_path, write(tmp_path, files), [(Runner.PYTEST, ".", "python:.")])

    assert tuple(name for suite in suites for name in suite.files) == found


def test_node_benchmarks(tmp_path: Path) -> None:
    """Files of vitest's bench form are benchmarks, below the project's folder and outside node_modules."""
    package = '{"devDependencies": {"vitest": "3"}}'
    paths = write(tmp_path, {"web/package.json": package, "web/src/a.bench.ts": "", "web/node_modules/b.bench.ts": ""})
    (suite,) = find_benchmarks(tmp_path, paths, [(Runner.VITEST, "web", "node:web")])

    assert suite.files == ("src/a.bench.ts",)


def test_readers() -> None:
    """Medians are in seconds, whatever unit a tool writes."""
    python = {"benchmarks": [{"fullname": "t.py::test_a", "stats": {"median": 0.005}}]}
    group = {"fullName": "src/a.bench.ts > sort", "benchmarks": [{"name": "quick", "median": 5.0, "sampleCount": 9}]}

    assert read_pytest_benchmark(python) == {"t.py::test_a": 0.005}
    assert read_vitest_bench({"files": [{"groups": [group]}]}) == {"src/a.bench.ts > sort > quick": 0.005}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("environment") / "venv"
    uv = str(find_uv())
    subprocess.run([uv, "venv", "--quiet", str(folder)], check=True)
    packages = ("pytest==9.0.*", "pytest-benchmark")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(folder), *packages], check=True)
    return Built("python:.", EnvironmentKind.PYTHON, folder, "", 0.0, is_reused=False)


def orders(tmp_path: Path, **changes: float) -> Orders:
    return Orders(
        pairs=2,
        seconds_per_benchmark=0.02,
        timeout_seconds=changes.get("timeout_seconds", 120.0),
        seed=1,
        scratch=tmp_path / "scratch",
        log=tmp_path / "logs" / "run.log",
    )


def sides(tmp_path: Path, built: Built, base: str, head: str) -> dict[str, Side]:
    write(tmp_path, {"base/test_b.py": base, "head/test_b.py": head})
    return {name: Side(name, tmp_path / name, built) for name in ("base", "head")}


SUITE = Suite(runner=Runner.PYTEST, folder=".", environment="python:.", files=("test_b.py",))
SUITES = {"base": SUITE, "head": SUITE}


@pytest.mark.network
def test_real_runs_in_pairs(tmp_path: Path, built: Built) -> None:
    """Each pair has a median of both revisions, measured by our timer; a benchmark on one side only is named."""
    head = BENCH.format(steps=40_000) + BENCH.replace("test_speed", "test_new").format(steps=10)
    measured = asyncio.run(run_pairs(SUITES, sides(tmp_path, built, BENCH.format(steps=1_000), head), orders(tmp_path)))

    assert measured.trouble == ""
    assert list(measured.pairs) == ["test_b.py::test_speed"]
    assert [head / base > 5 for base, head in measured.pairs["test_b.py::test_speed"]] == [True, True]
    assert measured.only_head == ("test_b.py::test_new",)


@pytest.mark.network
def test_a_head_that_breaks(tmp_path: Path, built: Built) -> None:
    """A side whose benchmarks do not run is named with the reason, and its log."""
    broken = "def test_speed(benchmark):\n    raise ValueError('no')\n"
    measured = asyncio.run(run_pairs(SUITES, sides(tmp_path, built, BENCH.format(steps=9), broken), orders(tmp_path)))

    assert measured.troubled_side == "head"
    assert "exited with 1" in measured.trouble


@pytest.mark.network
def test_time_that_runs_out(tmp_path: Path, built: Built) -> None:
    """No time for one pair leaves no figure and says so."""
    same = BENCH.format(steps=9)
    measured = asyncio.run(run_pairs(SUITES, sides(tmp_path, built, same, same), orders(tmp_path, timeout_seconds=0.0)))

    assert (measured.pairs, measured.is_cut_short, measured.trouble) == ({}, True, "")
