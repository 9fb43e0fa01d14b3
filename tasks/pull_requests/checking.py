"""Running the plan: the checks that read all at once, then the benchmarks with the machine to themselves."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import Plan, PlannedCheck
from tasks.core.pull_requests.plan import (
    BENCHMARKS,
    COMPLEXITY,
    CONFLICTS,
    COVERAGE,
    FILES,
    LABELS,
    SIZE,
    TITLE,
)
from tasks.core.results import CheckResult, result_of
from tasks.pull_requests.benching import run_benchmarks
from tasks.pull_requests.looking import (
    choose_labels,
    compare_coverage,
    look_at_files,
    look_at_title,
    measure_complexity,
    measure_size,
    try_merging,
)
from tasks.pull_requests.review import Review
from tasks.remembering import concluded
from tasks.watching import CheckEnded, CheckStarted, tell

_CHECKS: Mapping[str, Callable[[Review], Awaitable[CheckResult]]] = {
    TITLE: look_at_title,
    CONFLICTS: try_merging,
    COMPLEXITY: measure_complexity,
    LABELS: choose_labels,
    SIZE: measure_size,
    COVERAGE: compare_coverage,
    FILES: look_at_files,
    BENCHMARKS: run_benchmarks,
}


@task(name="check", task_run_name="{check.id}", cache_policy=NO_CACHE, persist_result=False)
async def run_review_check(check: PlannedCheck, review: Review) -> CheckResult | State[CheckResult]:
    """The check's result; as a state that Prefect shows red when it blocks."""
    began = time.monotonic()
    result = await _CHECKS[check.id](review)
    return await concluded(result.model_copy(update={"seconds": round(time.monotonic() - began, 3)}), key="")


async def run_checks(plan: Plan, review: Review) -> tuple[CheckResult, ...]:
    """A result for every check, in the plan's order."""
    results = {check.id: _announced(result_of(check.id, check.settled)) for check in plan.checks if check.settled}
    quick = [check for check in plan.to_run() if check.id != BENCHMARKS]
    found = await asyncio.gather(*(_run_one(check, review) for check in quick))
    # NOTE: last and alone, since what runs beside it would be measured too.
    found += [await _run_one(check, review) for check in plan.to_run() if check.id == BENCHMARKS]
    results |= {result.id: result for result in found}
    return tuple(results[check.id] for check in plan.checks)


def _announced(result: CheckResult) -> CheckResult:
    tell(CheckEnded(result))
    return result


async def _run_one(check: PlannedCheck, review: Review) -> CheckResult:
    tell(CheckStarted(check.id))
    state = await cast("Awaitable[State[Any]]", run_review_check(check, review, return_state=True))
    result = await state.aresult(raise_on_failure=False)
    if isinstance(result, CheckResult):
        return _announced(result)
    reason = f"Towpath itself failed at this check: {type(result).__name__}: {result}"
    return _announced(
        result_of(check.id, Outcome(Verdict.ERROR, reason, remedy="please report this with the run's log"))
    )
