"""The performance gate: benchmarks of base and head in turns, on this machine, in one run."""

from contextlib import AsyncExitStack
from pathlib import Path
from secrets import randbelow

from tasks.adapters.benchmark_runs import Measured, Orders, Runner, Side, Suite, clear, find_benchmarks, run_pairs
from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import Plan
from tasks.core.projects import joined
from tasks.core.pull_requests.benchmarks import judge_benchmarks
from tasks.core.pull_requests.perf_gate import Comparison, compare
from tasks.core.pull_requests.plan import BENCHMARKS
from tasks.core.pull_requests.report import figure_of
from tasks.core.results import CheckResult, result_of
from tasks.core.settings import SettingsRefused
from tasks.opening import keep_apart
from tasks.planning import plan_snapshot
from tasks.preparing import checkout, prepare_environment
from tasks.pull_requests.review import Review
from tasks.retrying import PermanentError, TemporaryError
from tasks.workplace import Workplace

_SOURCES = (
    *(".py", ".pyx", ".pyi", ".c", ".h", ".rs", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".vue", ".svelte"),
    *(".lock", "package-lock.json", "pnpm-lock.yaml", "pyproject.toml", "package.json"),
)


async def run_benchmarks(review: Review) -> CheckResult:
    """Compare all suites that both revisions have; `review.figures` holds the figures."""
    if not any(path.endswith(_SOURCES) for path in review.pull.change.paths):
        return _skipped("no source changed")
    try:
        async with AsyncExitStack() as held:
            return await _compared(review, _suites(review.place), await _base_place(held, review))
    except (PermanentError, TemporaryError, SettingsRefused) as failed:
        reason, _, remedy = str(failed).partition("\n")
        return result_of(
            BENCHMARKS, Outcome(Verdict.ERROR, f"the benchmarks could not be run: {reason}", remedy=remedy)
        )


def _skipped(reason: str) -> CheckResult:
    return result_of(BENCHMARKS, Outcome(Verdict.SKIPPED, reason))


def _suites(place: Workplace) -> dict[tuple[Runner, str], Suite]:
    snapshot = place.snapshot
    found = find_benchmarks(snapshot.tree, snapshot.files, _projects(plan_snapshot(snapshot, place.settings)))
    return {(suite.runner, suite.folder): suite for suite in found}


def _projects(plan: Plan) -> list[tuple[Runner, str, str]]:
    """The folders of a plan's environments, each with what would run benchmarks there."""
    kinds = {"python": Runner.PYTEST, "node": Runner.VITEST}
    return [(kinds[place.kind], folder, place.id) for place in plan.environments for folder in place.folders]


async def _base_place(held: AsyncExitStack, review: Review) -> Workplace:
    change, place = review.pull.change, review.place
    snapshot = await checkout(held, review.target, change.start or change.base, place.state)
    keep_apart(held, place, place.snapshot, snapshot)
    return Workplace(
        snapshot=snapshot,
        settings=place.settings,
        state=place.state,
        folder=place.folder / "base",
        run_id=place.run_id,
        tier=place.tier,
        started=place.started,
        overrides=place.overrides,
    )


async def _compared(review: Review, suites: dict[tuple[Runner, str], Suite], base: Workplace) -> CheckResult:
    known = _suites(base)
    if not suites and not known:
        return _skipped("there are no benchmarks (pytest-benchmark, or *.bench.ts of vitest)")
    if not known:
        return _skipped("the base has no benchmarks yet to compare with")
    both = [key for key in suites if key in known]
    settings, log = review.settings.pull_requests.benchmarks, review.place.log_of(BENCHMARKS)
    measured = Measured(only_base=_gone(known, both))
    comparisons: tuple[Comparison, ...] = ()
    for number, key in enumerate(both):
        orders = Orders(
            pairs=settings.pairs,
            seconds_per_benchmark=settings.seconds_per_benchmark,
            timeout_seconds=settings.timeout_seconds / len(both),
            seed=randbelow(1 << 32),
            scratch=review.place.folder / "files" / f"benchmarks-{number}",
            log=log.with_suffix(f".{number}.log"),
        )
        pair = {"base": known[key], "head": suites[key]}
        sides = {
            "base": await _side("base", pair["base"], base),
            "head": await _side("head", pair["head"], review.place),
        }
        found = await run_pairs(pair, sides, orders)
        clear(orders)
        measured = _joined(measured, found)
        # NOTE: pairs of different suites are different runs, so each suite has its share of the error rate.
        comparisons += compare(found.pairs, settings, parts=len(both))
    review.figures = tuple(figure_of(each) for each in comparisons)
    result = judge_benchmarks(
        comparisons,
        settings,
        trouble=(measured.troubled_side, measured.trouble),
        is_cut_short=measured.is_cut_short,
        only_head=measured.only_head,
        only_base=measured.only_base,
        check_id=BENCHMARKS,
    )
    return result.model_copy(update={"log": _last_log(log)})


def _gone(known: dict[tuple[Runner, str], Suite], both: list[tuple[Runner, str]]) -> tuple[str, ...]:
    """The files of suites that the head has no more: how their benchmarks are called only a run would tell."""
    return tuple(joined(suite.folder, file) for key, suite in known.items() if key not in both for file in suite.files)


def _joined(one: Measured, other: Measured) -> Measured:
    return Measured(
        pairs={**one.pairs, **other.pairs},
        only_head=(*one.only_head, *other.only_head),
        only_base=(*one.only_base, *other.only_base),
        trouble=one.trouble or other.trouble,
        troubled_side=one.troubled_side or other.troubled_side,
        is_cut_short=one.is_cut_short or other.is_cut_short,
    )


def _last_log(log: Path) -> str:
    return next((str(path) for path in sorted(log.parent.glob(f"{log.stem}*"), reverse=True)), "")


async def _side(name: str, suite: Suite, place: Workplace) -> Side:
    plan = plan_snapshot(place.snapshot, place.settings)
    environment = next(each for each in plan.environments if each.id == suite.environment)
    return Side(name, place.snapshot.tree, await prepare_environment(environment, place))
