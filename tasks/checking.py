"""One check as one task run: find its program, run it, let core conclude.

Prefect's cache answers for a check that passed on the same inputs. A failed check is remembered too, but shows as
failed each time; a check that was flaky or could not be done is never remembered.
"""

import shutil
from dataclasses import replace

from prefect import task
from prefect.client.schemas.objects import State

from tasks.adapters.environments import Built
from tasks.adapters.examination import Examination, Examined, examine
from tasks.adapters.programs import Program, find_program
from tasks.core.catalogue import TOOLS
from tasks.core.conclusion import Conclusion, Place, conclude
from tasks.core.outcome import Verdict
from tasks.core.plan import PlannedCheck
from tasks.core.results import CheckResult, result_of
from tasks.core.tools.contract import Tool
from tasks.remembering import REMEMBERED, concluded, remembered_failure
from tasks.workplace import Workplace

_CONFIRMED_TESTS = 50


class Order:
    """A check that is ready to run: its program found, its key known (empty: never remembered).

    Like Workplace, no dataclass, so that Prefect does not walk through it.
    """

    def __init__(
        self, *, check: PlannedCheck, place: Workplace, tool: Tool, program: Program, built: Built | None, key: str
    ) -> None:
        self.check = check
        self.place = place
        self.tool = tool
        self.program = program
        self.built = built
        self.key = key


async def order_check(check: PlannedCheck, place: Workplace, built: Built | None, *, use_cache: bool) -> Order:
    """Find the program of a check and name what its result depends on. Raises ProgramMissing."""
    tool = TOOLS[check.tool]
    if check.version and check.environment is None:
        tool = replace(tool, version=check.version)
    log = place.log_of(f"program-{check.id}")
    folder = place.snapshot.tree / check.folder
    if check.program:
        folders = (built.binaries,) if built else ()
        program = Program(check.program, "", "found on PATH", folders)
    else:
        program = await find_program(tool, built, folder, state=place.state, log=log)
    key = place.key(check, tool, program, built.fingerprint if built else "") if use_cache else ""
    return Order(check=check, place=place, tool=tool, program=program, built=built, key=key)


@task(name="check", task_run_name="{order.check.id}", **REMEMBERED)
async def run_check(order: Order) -> CheckResult | State[CheckResult]:
    """The result of a check; as a state that Prefect shows red when it blocks."""
    result = await remembered_failure(order.key) or await examine_check(order)
    return await concluded(result, order.key)


async def examine_check(order: Order) -> CheckResult:
    """Run the tool; once more without its own cache when it broke, once more on what failed when tests did."""
    examined, conclusion = await _attempt(order)
    if conclusion.outcome.verdict is Verdict.ERROR and order.tool.keeps_cache:
        shutil.rmtree(order.place.invocation(order.check).caches, ignore_errors=True)
        examined, conclusion = await _attempt(order)
    is_flaky = await _is_flaky(order, conclusion)
    return _result(order, examined, conclusion, is_flaky=is_flaky)


async def _attempt(order: Order, again: tuple[str, ...] = ()) -> tuple[Examined, Conclusion]:
    check, place = order.check, order.place
    log = place.log_of(check.id)
    examined = await examine(
        Examination(
            tool=order.tool,
            program=order.program,
            invocation=place.invocation(check, again=again),
            log=log.with_suffix(".again.log") if again else log,
            timeout_seconds=check.timeout_seconds,
            max_output_bytes=place.settings.run.max_log_bytes,
            variables=check.variables,
        )
    )
    where = Place(str(place.snapshot.tree), check.folder)
    return examined, conclude(order.tool, examined.finished, examined.output, where, reproduce=check.reproduce)


async def _is_flaky(order: Order, conclusion: Conclusion) -> bool:
    """Whether every test that failed passes when it is run again."""
    reading = conclusion.reading
    if conclusion.outcome.verdict is not Verdict.FAILED or not order.tool.confirms_failures or reading is None:
        return False
    if not 0 < len(reading.failed_tests) <= _CONFIRMED_TESTS:
        return False
    _, second = await _attempt(order, reading.failed_tests)
    return second.outcome.verdict is Verdict.PASSED


def _shown_tool(order: Order) -> str:
    """The tool's name; for a script, how it is called."""
    words = (*order.check.program[:1], *order.tool.arguments(order.place.invocation(order.check)))
    return " ".join(words) if order.check.program else order.tool.name


def _result(order: Order, examined: Examined, conclusion: Conclusion, *, is_flaky: bool) -> CheckResult:
    result = result_of(order.check.id, conclusion.outcome, conclusion.reading, tool=_shown_tool(order))
    reason = f"flaky, passed when run again: {result.reason}" if is_flaky else result.reason
    completion = examined.completion
    return result.model_copy(
        update={
            "reason": reason,
            "flaky": is_flaky,
            "version": order.program.label,
            "seconds": round(completion.seconds, 3),
            "cpu_seconds": round(completion.cpu_seconds, 3),
            "peak_memory_bytes": completion.peak_memory_bytes,
            "log": str(order.place.log_of(order.check.id)),
        }
    )
