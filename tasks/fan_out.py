"""Running a plan: environments first, each check as soon as its own is ready, as many at once as there are turns.

Every check of the plan ends in a result. By default all are collected; with fail-fast the first that blocks ends the
others, and what did not run is an error, since nobody knows how it would have ended.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from prefect.client.schemas.objects import State

from tasks.adapters.environments import Built
from tasks.adapters.programs import ProgramMissing
from tasks.checking import order_check, run_check
from tasks.core.environments import Environment
from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import CheckKind, Plan, PlannedCheck
from tasks.core.results import CheckResult, result_of
from tasks.covering import run_coverage_check
from tasks.imaging import order_image, run_image_check
from tasks.preparing import prepare_environment
from tasks.reporting import keep_files
from tasks.request import CiRequest, MayLack
from tasks.watching import CheckEnded, CheckStarted, tell
from tasks.workplace import Workplace


@dataclass(frozen=True)
class Prepared:
    """An environment, or the outcome of every check that needs it; and its task run's state, for the run's graph."""

    built: Built | None
    outcome: Outcome | None
    state: State[Any]


Environments = Mapping[str, "asyncio.Task[Prepared]"]


async def run_plan(plan: Plan, place: Workplace, request: CiRequest) -> tuple[CheckResult, ...]:
    """A result for every check of the plan, in the plan's order."""
    request = _among(plan, request)
    environments = {wanted.id: asyncio.create_task(_prepared(wanted, place)) for wanted in plan.environments}
    running = [asyncio.create_task(_run_one(check, environments, place, request)) for check in plan.to_run()]
    try:
        if _is_fail_fast(place, request):
            await _until_blocked(running)
        else:
            await asyncio.gather(*running)
    finally:
        await _end([*running, *environments.values()])
    results = {check.id: _announced(result_of(check.id, check.settled)) for check in plan.checks if check.settled}
    for check, task in zip(plan.to_run(), running, strict=True):
        results[check.id] = _not_run(check) if task.cancelled() else task.result()
    for check in plan.checks:
        if check.id not in results:
            results[check.id] = _announced(await _judge(check, results))
    return tuple(results[check.id] for check in plan.checks)


def _among(plan: Plan, request: CiRequest) -> CiRequest:
    """What a check judges is measured again with it."""
    named = request.among(check.id for check in plan.checks)
    measured = [check.follows for check in plan.checks if check.follows and check.id in named.afresh]
    return replace(named, afresh=(*named.afresh, *measured))


def _is_fail_fast(place: Workplace, request: CiRequest) -> bool:
    return place.settings.run.fail_fast if request.fail_fast is None else request.fail_fast


async def _until_blocked(running: Iterable["asyncio.Task[CheckResult]"]) -> None:
    for ended in asyncio.as_completed(running):
        if (await ended).verdict.blocks:
            return


async def _end(tasks: Iterable["asyncio.Task[CheckResult] | asyncio.Task[Prepared]"]) -> None:
    """Cancel what still runs and wait until its tools are gone."""
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _announced(result: CheckResult) -> CheckResult:
    tell(CheckEnded(result))
    return result


def _not_run(check: PlannedCheck) -> CheckResult:
    outcome = Outcome(Verdict.ERROR, "not run: another check blocked and fail-fast was asked", remedy=check.reproduce)
    return _announced(result_of(check.id, outcome, tool=check.tool))


async def _prepared(environment: Environment, place: Workplace) -> Prepared:
    state = await cast("Awaitable[State[Any]]", prepare_environment(environment, place, return_state=True))
    built = await state.aresult(raise_on_failure=False)
    if isinstance(built, Built):
        return Prepared(built, None, state)
    reason, _, remedy = str(built).partition("\n")
    outcome = Outcome(Verdict.ERROR, f"its environment could not be built: {reason}", remedy=remedy)
    return Prepared(None, outcome, state)


async def _run_one(
    check: PlannedCheck, environments: Environments, place: Workplace, request: CiRequest
) -> CheckResult:
    prepared = await environments[check.environment] if check.environment else None
    if prepared and prepared.outcome:
        return _announced(result_of(check.id, prepared.outcome, tool=check.tool))
    async with place.turns.taken():
        tell(CheckStarted(check.id))
        try:
            result = await _checked(check, place, prepared, request)
        except ProgramMissing as missing:
            trouble = missing.trouble
            result = result_of(check.id, Outcome(Verdict.ERROR, trouble.reason, remedy=trouble.remedy), tool=check.tool)
    return _announced(keep_files(result, place))


async def _checked(check: PlannedCheck, place: Workplace, prepared: Prepared | None, request: CiRequest) -> CheckResult:
    """The result of a check's task run, and whether it came from the cache."""
    match check.kind:
        case CheckKind.IMAGE:
            may_lack_engine = MayLack.DOCKER in request.may_lack
            image = await order_image(
                check, place, may_lack_engine=may_lack_engine, use_cache=request.believes(check.id)
            )
            place.keys[check.id] = image.key
            state: State[Any] = await cast("Awaitable[State[Any]]", run_image_check(image, return_state=True))
        case CheckKind.TOOL | CheckKind.COVERAGE:
            built, upstream = (prepared.built, [prepared.state]) if prepared else (None, [])
            order = await order_check(check, place, built, use_cache=request.believes(check.id))
            place.keys[check.id] = order.key
            state = await cast("Awaitable[State[Any]]", run_check(order, wait_for=upstream, return_state=True))
    result = await state.aresult(raise_on_failure=False)
    if isinstance(result, CheckResult):
        return result.model_copy(update={"cached": result.cached or state.name == "Cached"})
    reason = f"Towpath itself failed at this check: {type(result).__name__}: {result}"
    return result_of(
        check.id, Outcome(Verdict.ERROR, reason, remedy="please report this with the run's log"), tool=check.tool
    )


async def _judge(check: PlannedCheck, results: Mapping[str, CheckResult]) -> CheckResult:
    """The coverage check's own task run; it judges what its tests measured, so it is never remembered."""
    state = await cast(
        "Awaitable[State[Any]]", run_coverage_check(check, results[check.follows or ""], return_state=True)
    )
    result = await state.aresult(raise_on_failure=False)
    assert isinstance(result, CheckResult), result
    return result
