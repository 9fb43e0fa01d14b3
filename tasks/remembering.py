"""Which results are believed again without a run, and how a result shows in Prefect.

Prefect's cache answers for a check that passed on the same inputs. A failed check is remembered beside it, but shows
as failed each time, since a red check must never turn green in the UI for being remembered. A check that was flaky or
could not be done is never remembered.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect.cache_policies import CacheKeyFnPolicy
from prefect.client.schemas.objects import State, StateType
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from prefect.results import get_result_store
from prefect.states import Failed

from tasks.core.outcome import Verdict
from tasks.core.results import CheckResult

_SHOWN_LOG_LINES = 200
_SHOWN_LOG_BYTES = 1 << 20


def _cache_key(context: TaskRunContext, parameters: Mapping[str, Any]) -> str | None:
    """The key of the `order` a task is given; none for an order that is never remembered."""
    key: str = parameters["order"].key
    return key or None


REMEMBERED: dict[str, Any] = {
    "cache_policy": CacheKeyFnPolicy(cache_key_fn=_cache_key),
    "persist_result": True,
    "result_serializer": "json",
}


async def remembered_failure(key: str) -> CheckResult | None:
    store, name = get_result_store(), f"{key}-failed"
    if not key or not await store.aexists(name):
        return None
    record = await store.aread(name)
    return CheckResult.model_validate(record.result).model_copy(update={"cached": True})


async def concluded(result: CheckResult, key: str) -> CheckResult | State[CheckResult]:
    """A result as a task run ends with it: completed, or red with the reason as its message."""
    _show(result)
    match result.verdict:
        case Verdict.PASSED | Verdict.SKIPPED | Verdict.INCONCLUSIVE:
            return result
        case Verdict.FAILED:
            if key and not result.cached and not result.flaky:
                await get_result_store().awrite(result, key=f"{key}-failed")
            return Failed(message=result.reason[:1000], data=result)
        case Verdict.ERROR:
            return State(type=StateType.FAILED, name="Error", message=result.reason[:1000], data=result)


def _show(result: CheckResult) -> None:
    """The reason and the end of the log, for the task run's page in the UI; the whole log is on disk."""
    logger = get_run_logger()
    logger.info("%s: %s", result.verdict, result.reason)
    lines = last_lines(Path(result.log)) if result.log and not result.cached else []
    if lines:
        logger.info("the end of %s:\n%s", result.log, "\n".join(lines))


def last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _SHOWN_LOG_BYTES))
            return stream.read().decode("utf-8", "replace").splitlines()[-_SHOWN_LOG_LINES:]
    except OSError:
        return []
