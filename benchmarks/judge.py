"""The canary judge beside the two rules teams use today, on the same simulated canaries.

Three questions: how often a healthy canary is thrown away, how surely and how soon a bad one is found, and what is
said when there is nothing to say. The worlds are those of tests/simulation, each run is drawn once from its seed and
read by all three, and what must hold is checked and told with its figure.

    python -m benchmarks.judge [--runs 10000] [--seed 1] [--jobs 2] [--write docs/judge.md]

`--runs` is for the false aborts; everything else takes a tenth of it.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.judge_peers import RankRule, ThresholdRule
from tasks.core.blocks import Differencing
from tasks.core.canary_policy import JudgePolicy
from tasks.core.judge import CanaryVerdict, Judge
from tests.simulation.world import Company, Run, World

BEGIN = "<!-- figures: begin, written by python -m benchmarks.judge -->"
END = "<!-- figures: end -->"
CHUNK = 100
PART_OF_RUNS = 10
EVERYTHING = ((-1.0, 1e9),)

HEALTHY = {
    "independent errors, 0.5 %": World(),
    "independent errors, 1 %": World(stable_errors=0.01, canary_errors=0.01),
    "independent errors, 5 %": World(stable_errors=0.05, canary_errors=0.05),
    "beta-binomial errors, phi 3": World(company=Company.PHI_3),
    "beta-binomial errors, phi 9": World(company=Company.PHI_9),
    "retries": World(company=Company.RETRIES),
    "bursts per instance: 20 s, one request in ten": World(company=Company.BURSTS),
}
REGRESSIONS = {
    "0.5 -> 2 % errors": World(canary_errors=0.02),
    "0.5 -> 5 % errors": World(canary_errors=0.05),
    "1 -> 10 % errors": World(stable_errors=0.01, canary_errors=0.10),
    "0.1 -> 1 % errors": World(stable_errors=0.001, canary_errors=0.01),
    "latency +50 %": World(canary_slower=0.5),
}
STATES = {
    "no traffic": (World(silent_from=0), CanaryVerdict.NO_TRAFFIC),
    "no traffic, 1 request/s": (World(requests_per_second=1, silent_from=0), CanaryVerdict.NO_TRAFFIC),
    "traffic stops after 200 s": (World(silent_from=200), CanaryVerdict.NO_TRAFFIC),
    "metrics never readable": (World(unread=EVERYTHING), CanaryVerdict.METRICS_DOWN),
    "metrics lost after 200 s": (World(unread=((200, 1e9),)), CanaryVerdict.METRICS_DOWN),
    "30 % instead of 10 % of the traffic": (World(true_share=0.3), CanaryVerdict.SPLIT_WRONG),
    "2 % instead of 10 %": (World(true_share=0.02), CanaryVerdict.SPLIT_WRONG),
    "canary restarts": (World(restart_at=95), CanaryVerdict.FAIL),
    "1 request/s": (World(requests_per_second=1), CanaryVerdict.INCONCLUSIVE),
    "5 requests/s": (World(requests_per_second=5), CanaryVerdict.INCONCLUSIVE),
}
PROMOTABLE = {
    "healthy, 50 requests/s": World(),
    "healthy, 200 requests/s": World(requests_per_second=200),
}
AT_MARGIN = {
    **{f"+1 point errors, {company}": World(company=company, canary_errors=0.015) for company in Company},
    "+1 point errors, 200 requests/s": World(requests_per_second=200, canary_errors=0.015),
    "latency +25 %": World(canary_slower=0.25),
    "latency +25 %, 200 requests/s": World(canary_slower=0.25, requests_per_second=200),
}
WEAK = {
    "healthy, instances differ for good (cv 0.5), 200 requests/s": World(
        instance_variation=0.5, requests_per_second=200
    ),
    "healthy, heavy bursts: 20 s, three requests in ten": World(company=Company.BURSTS, burst_errors=0.3),
    "+1 point errors, heavy bursts": World(company=Company.BURSTS, burst_errors=0.3, canary_errors=0.015),
    "healthy, 5 % errors": World(stable_errors=0.05, canary_errors=0.05),
    "0.5 -> 1 % errors": World(canary_errors=0.01),
}


@dataclass(frozen=True)
class Ending:
    """How one canary ended: seconds of each rule's abort, of the judge's first pass, and its last verdict."""

    judge: float | None
    rank: float | None
    threshold: float | None
    passed: float | None
    verdict: CanaryVerdict
    judge_seconds: float
    observations: int


@dataclass(frozen=True)
class Requirement:
    text: str
    measured: str
    holds: bool


def end_of(world: World, seed: int) -> Ending:
    run = Run(world, seed)
    judge, rank, threshold = Judge(JudgePolicy(), run.history()), RankRule(), ThresholdRule()
    peers = Differencing()
    failed = ranked = exceeded = passed = None
    verdict, seconds, observations = CanaryVerdict.WATCHING, 0.0, 0
    for snapshot in run.snapshots():
        if failed is None:
            begin = time.perf_counter()
            verdict = judge.observe(snapshot).verdict
            seconds += time.perf_counter() - begin
            observations += 1
            failed = snapshot.at if verdict is CanaryVerdict.FAIL else None
            passed = snapshot.at if verdict is CanaryVerdict.PASS and passed is None else passed
        block = peers.take(snapshot)
        if ranked is None and rank.aborts(snapshot.at, block, peers.bounds):
            ranked = snapshot.at
        if exceeded is None and threshold.aborts(snapshot.at, block, peers.bounds):
            exceeded = snapshot.at
        if failed is not None and ranked is not None and exceeded is not None:
            break
    return Ending(failed, ranked, exceeded, passed, verdict, seconds, observations)


def ends_of(task: tuple[World, int, int]) -> list[Ending]:
    world, first, runs = task
    return [end_of(world, seed) for seed in range(first, first + runs)]


class Laboratory:
    """Runs worlds on several cores and says how far it is."""

    def __init__(self, pool: ProcessPoolExecutor, seed: int) -> None:
        self._pool = pool
        self._first = seed * 1_000_000

    def measure(self, name: str, world: World, runs: int) -> list[Ending]:
        begin = time.monotonic()
        tasks = [(world, self._first + start, min(CHUNK, runs - start)) for start in range(0, runs, CHUNK)]
        endings = [ending for some in self._pool.map(ends_of, tasks) for ending in some]
        print(f"{name}: {runs} runs in {time.monotonic() - begin:.0f} s", flush=True)
        return endings

    def measure_all(self, worlds: dict[str, World], runs: int) -> dict[str, list[Ending]]:
        return {name: self.measure(name, world, runs) for name, world in worlds.items()}


def percent(count: int, total: int) -> str:
    return f"{100 * count / total:.2f} %"


def aborted(times: Sequence[float | None]) -> str:
    return percent(sum(time is not None for time in times), len(times))


def quantile(times: Sequence[float], part: float) -> float:
    return sorted(times)[max(0, math.ceil(part * len(times)) - 1)]


def found(times: Sequence[float | None]) -> str:
    """The part found, and the seconds by which half and nine in ten of those were."""
    known = [time for time in times if time is not None]
    share = f"{100 * len(known) / len(times):.1f} %"
    return f"{share}, {quantile(known, 0.5):.0f}/{quantile(known, 0.9):.0f}" if known else share


def rules(endings: Sequence[Ending]) -> tuple[list[float | None], list[float | None], list[float | None]]:
    return [end.judge for end in endings], [end.rank for end in endings], [end.threshold for end in endings]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PEERS = ("judge", "rank rule", "threshold rule")


def tell_false_aborts(endings: dict[str, list[Ending]]) -> tuple[str, list[Requirement]]:
    rows = [[name, *(aborted(times) for times in rules(ends))] for name, ends in endings.items()]
    requirements = []
    for name, ends in endings.items():
        limit = 0.005 if name.startswith("independent") else 0.02
        share = sum(end.judge is not None for end in ends) / len(ends)
        requirements.append(
            Requirement(f"false aborts, {name}: at most {100 * limit:g} %", f"{100 * share:.2f} %", share <= limit)
        )
    return table(("healthy canary", *PEERS), rows), requirements


def tell_regressions(endings: dict[str, list[Ending]]) -> tuple[str, list[Requirement]]:
    rows = [[name, *(found(times) for times in rules(ends))] for name, ends in endings.items()]
    requirements = []
    for name, share, half, ninth in (
        ("0.5 -> 5 % errors", 0.995, 45.0, 75.0),
        ("1 -> 10 % errors", 0.995, math.inf, 60.0),
        ("0.1 -> 1 % errors", 0.9, math.inf, math.inf),
    ):
        known = [end.judge for end in endings[name] if end.judge is not None]
        measured = len(known) / len(endings[name])
        holds = measured >= share and quantile(known, 0.5) <= half and quantile(known, 0.9) <= ninth
        limits = [f"{part} by {limit:g} s" for part, limit in (("half", half), ("nine in ten", ninth)) if limit < 1e9]
        wanted = ", ".join([f"found in {100 * share:g} %", *limits])
        requirements.append(Requirement(f"{name}: {wanted}", found([end.judge for end in endings[name]]), holds))
    return table(("regression", *PEERS), rows), requirements


def tell_states(endings: dict[str, list[Ending]]) -> tuple[str, list[Requirement]]:
    rows, requirements = [], []
    for name, ends in endings.items():
        wanted = STATES[name][1]
        right = sum(end.verdict is wanted for end in ends)
        promoted = [sum(time is None for time in times) for times in rules(ends)[1:]]
        rows.append([name, str(wanted), percent(right, len(ends)), *(percent(count, len(ends)) for count in promoted)])
        requirements.append(
            Requirement(f"{name}: called {wanted} in 99.5 %", percent(right, len(ends)), right >= 0.995 * len(ends))
        )
    head = ("state", "is called", "judge is right", "rank rule promotes", "threshold rule promotes")
    return table(head, rows), requirements


def tell_promotions(healthy: dict[str, list[Ending]], bad: dict[str, list[Ending]]) -> tuple[str, list[Requirement]]:
    rows, requirements = [], []
    for name, ends in (*healthy.items(), *bad.items()):
        passed = sum(end.passed is not None for end in ends)
        others = [sum(time is None for time in times) for times in rules(ends)[1:]]
        rows.append([name, *(percent(count, len(ends)) for count in (passed, *others))])
        if name in bad:
            requirements.append(
                Requirement(
                    f"{name}: promotable in at most 5 %", percent(passed, len(ends)), passed <= 0.05 * len(ends)
                )
            )
    return table(("promoted", *PEERS), rows), requirements


def tell_weaknesses(endings: dict[str, list[Ending]]) -> str:
    rows = [
        [name, aborted([end.judge for end in ends]), aborted([end.passed for end in ends])]
        for name, ends in endings.items()
    ]
    return table(("where it is weak", "judge aborts", "judge could promote"), rows)


def tell_requirements(requirements: Sequence[Requirement]) -> str:
    rows = [[each.text, each.measured, "holds" if each.holds else "**does not hold**"] for each in requirements]
    return table(("wanted", "measured", ""), rows)


def tell_cost(endings: Sequence[Ending]) -> str:
    per_run = [1000 * end.judge_seconds / end.observations for end in endings]
    return f"One observation costs {statistics.median(per_run):.2f} ms (median of {len(per_run):,} runs)."


def measure(laboratory: Laboratory, runs: int) -> tuple[str, bool]:
    few = max(1, runs // PART_OF_RUNS)
    healthy = laboratory.measure_all(HEALTHY, runs)
    aborts, first = tell_false_aborts(healthy)
    regressions, second = tell_regressions(laboratory.measure_all(REGRESSIONS, few))
    states, third = tell_states(laboratory.measure_all({name: state[0] for name, state in STATES.items()}, few))
    promotions, fourth = tell_promotions(
        laboratory.measure_all(PROMOTABLE, few), laboratory.measure_all(AT_MARGIN, few)
    )
    weaknesses = tell_weaknesses(laboratory.measure_all(WEAK, few))
    requirements = [*first, *second, *third, *fourth]
    parts = (
        f"False aborts, {runs:,} runs each:",
        aborts,
        f"Found, and the seconds by which half / nine in ten of those were, {few:,} runs each:",
        regressions,
        f"States, {few:,} runs each:",
        states,
        f"Promotions, {few:,} runs each (the judge: promotable at any moment; the others: not aborted at the end):",
        promotions,
        f"Weaknesses, {few:,} runs each:",
        weaknesses,
        tell_cost(healthy["independent errors, 0.5 %"]),
        "What must hold:",
        tell_requirements(requirements),
    )
    return "\n\n".join(parts), all(requirement.holds for requirement in requirements)


def write_between_markers(page: Path, text: str) -> None:
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, marker, after = rest.partition(END)
    if not marker:
        raise SystemExit(f"{page} has no figures to replace: the markers are missing")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="canaries per world for the false aborts")
    parser.add_argument("--seed", type=int, default=1, help="other canaries of the same worlds")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--write", type=Path, help="page whose figures are replaced")
    arguments = parser.parse_args()
    begin = time.monotonic()
    with ProcessPoolExecutor(arguments.jobs) as pool:
        text, holds = measure(Laboratory(pool, arguments.seed), arguments.runs)
    command = f"`python -m benchmarks.judge --runs {arguments.runs} --seed {arguments.seed} --jobs {arguments.jobs}`"
    text = f"{command}, {(time.monotonic() - begin) / 60:.0f} minutes.\n\n{text}"
    print(text)
    if arguments.write:
        write_between_markers(arguments.write, text)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
