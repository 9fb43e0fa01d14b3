"""The end of a run: its report, and the state Prefect shows."""

from collections.abc import Iterable
from typing import Any

from prefect.client.schemas.objects import State, StateType
from prefect.states import Completed, Failed

from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import Plan
from tasks.core.results import CheckResult, Report, gate
from tasks.opening import run_page
from tasks.workplace import Workplace


def conclude_run(place: Workplace, plan: Plan, results: Iterable[CheckResult], *, notes: tuple[str, ...]) -> Report:
    """The report of a run: the gate's verdict over all its checks; `notes` are told beside the plan's."""
    checks = tuple(results)
    decision = gate(checks)
    return Report(
        **facts_of(place),
        verdict=decision.verdict,
        reason=decision.reason,
        notes=(*plan.notes, *place.rules.notes, *notes),
        checks=checks,
    )


def facts_of(place: Workplace) -> dict[str, Any]:
    """What every report says of its run and its target, whatever was found."""
    snapshot = place.snapshot
    return {
        "target": snapshot.source,
        "name": place.target,
        "revision": snapshot.revision,
        "dirty": snapshot.is_dirty,
        "seconds": round(place.seconds(), 3),
        "started": place.started.isoformat(timespec="seconds"),
        "run": run_page(place.run_id),
        "folder": str(place.folder),
        "overrides": place.overrides,
    }


def final_state(report: Report) -> State[Any]:
    """The state of the flow run."""
    return state_of(Outcome(report.verdict, report.reason))


def state_of(outcome: Outcome) -> State[Any]:
    """Red for a failure, red and named Error where something could not be done."""
    match outcome.verdict:
        case Verdict.PASSED | Verdict.SKIPPED | Verdict.INCONCLUSIVE:
            return Completed(message=outcome.reason)
        case Verdict.FAILED:
            return Failed(message=outcome.reason)
        case Verdict.ERROR:
            return State(type=StateType.FAILED, name="Error", message=outcome.reason)


def refused(reason: Exception) -> State[Any]:
    """The state of a run that could not begin, with the one line that says why."""
    return State(type=StateType.FAILED, name="Error", message=str(reason), data=reason)
