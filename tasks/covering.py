"""Coverage as a check of its own, judged from what the tests measured; without a run of theirs it cannot be judged."""

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from tasks.core.conclusion import judge_coverage
from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import PlannedCheck
from tasks.core.results import CheckResult, result_of
from tasks.remembering import concluded


@task(name="coverage", task_run_name="{check.id}", cache_policy=NO_CACHE, persist_result=False)
async def run_coverage_check(check: PlannedCheck, tests: CheckResult) -> CheckResult | State[CheckResult]:
    """The coverage check's result, from the result of the tests it follows."""
    return await concluded(coverage_result(check, tests), key="")


def coverage_result(check: PlannedCheck, tests: CheckResult) -> CheckResult:
    if tests.verdict in (Verdict.ERROR, Verdict.SKIPPED):
        outcome = Outcome(tests.verdict, f"no coverage without {tests.id}: {tests.reason}", remedy=tests.remedy)
        return result_of(check.id, outcome, tool="coverage")
    gaps = tuple(f"{gap.path}:{gap.line}: {gap.message}" for gap in tests.gaps)
    outcome = judge_coverage(tests.measures, gaps, minimum_percent=check.minimum_percent)
    kept = {"measures": tests.measures, "gaps": tests.gaps, "cached": tests.cached, "log": tests.log}
    return result_of(check.id, outcome, tool="coverage").model_copy(update=kept)
