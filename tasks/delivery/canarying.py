"""The steps of a canary, as the flow tells them: put beside, watch, ask, promote; and back at once when it is bad."""

import asyncio
import time
from functools import partial
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from tasks.adapters import canary_logs
from tasks.adapters.approvals import forget_abort
from tasks.adapters.plots import Deciding, canary_plot
from tasks.concluding import refused
from tasks.core.approval import ApprovalRequest, Granted
from tasks.core.canary_log import CanaryLog, evidence_of
from tasks.core.canary_report import canary_page
from tasks.core.delivery_report import delivery_page
from tasks.core.judgement import CanaryVerdict
from tasks.core.platform import PermitRevoked, PlatformTrouble
from tasks.core.records import Ending, Record
from tasks.core.release_differences import differences
from tasks.core.rollout import Rollout
from tasks.core.rollout_words import AbortAsked, Approved, Began, Phase, Question, Rejected, TookOver
from tasks.delivery.asking import AskingFailed, Hearing, question
from tasks.delivery.canary_run import CanaryRun
from tasks.delivery.change import Change
from tasks.delivery.migrating import undo_migration
from tasks.delivery.recording import keep_record, notify, reason_of
from tasks.delivery.rolling import has_taken_over
from tasks.retrying import NotAllowed, PermanentError

_QUESTIONS = {
    Question.PROMOTE: "Promote {version} to all of {environment}?",
    Question.PROMOTE_WITHOUT_PROOF: "Promote {version} in {environment} although it has not been shown to be good?",
    Question.WATCH_ON: "Watch {version} in {environment} for another window? It cannot be judged yet.",
}

# A form that was opened for one question and sent during the next must not answer that.
_YES = {
    Question.PROMOTE: "approve",
    Question.PROMOTE_WITHOUT_PROOF: "approve without proof",
    Question.WATCH_ON: "watch on",
}


def begin_canary(change: Change) -> CanaryRun:
    """A canary that has not been put anywhere yet."""
    delivery = change.delivery
    approvals = delivery.approvals
    plan = delivery.canary.plan(needs_approval=approvals.needed > 0, approval_seconds=approvals.expires_seconds)
    metrics = [each.metrics for each in delivery.components.values() if each.metrics is not None]
    head = CanaryLog(
        target=change.ground.target,
        environment=change.ground.environment,
        run=change.asked.run,
        release=change.release,
        stable=change.replaced.version if change.replaced else "",
        settings=delivery.canary,
        has_latency=any(each.seconds for each in metrics),
        needs_approval=approvals.needed > 0,
        started=change.started.isoformat(timespec="seconds"),
    )
    forget_abort(change.ground)
    return CanaryRun(change, Rollout(plan=plan), head)


@task(name="put canary", task_run_name="put canary", cache_policy=NO_CACHE)
async def put_canary(run: CanaryRun) -> None:
    """Beside the stable release, and its first share of the traffic as soon as it is ready."""
    await run.happen(Began())


@task(name="watch", task_run_name="watch", cache_policy=NO_CACHE)
async def watch_canary(run: CanaryRun) -> str:
    """Judge it at every scrape until it is bad, may go on, or its time is over; a bad one is gone when this returns."""
    await run.watch(until=lambda rollout: rollout.phase is not Phase.WATCHING)
    return run.rollout.why


async def ask_for_approval(run: CanaryRun) -> None:
    """Put the evidence before people, and go on watching until they answer, or it turns bad, or time is over."""
    if run.rollout.phase is not Phase.ASKING:
        return
    request = _request(run)
    async with question(run.change.ground, request, run.change.delivery.notifications) as hearing:
        hearing.verdict.add_done_callback(lambda done: _tell_run(run, done))
        await run.watch(until=lambda rollout: rollout.phase is not Phase.ASKING)
        _keep_answers(run, hearing)


def _request(run: CanaryRun) -> ApprovalRequest:
    change, rollout, now = run.change, run.rollout, time.time()
    wanted = change.delivery.approvals
    assert rollout.question is not None, "asked without a question"
    words = {"version": change.release.version, "environment": change.ground.environment}
    return ApprovalRequest(
        run=change.asked.run,
        target=change.ground.target,
        source=change.asked.source,
        environment=change.ground.environment,
        question=_QUESTIONS[rollout.question].format(**words),
        yes=_YES[rollout.question],
        version=change.release.version,
        digest=change.release.digest,
        author=change.release.author,
        needed=max(1, wanted.needed),
        approvers=wanted.approvers,
        may_author_approve=wanted.may_author_approve,
        require_proof=wanted.require_proof,
        asked_at=now,
        expires_at=now + wanted.expires_seconds,
        evidence=(*_evidence_lines(run), *differences(change.replaced, change.release)),
    )


def _evidence_lines(run: CanaryRun) -> tuple[str, ...]:
    if not run.judgements:
        return ()
    return tuple(f"{name}: {value}" for name, value in evidence_of(run.judgements[-1]).items())


def _tell_run(run: CanaryRun, done: "asyncio.Future[Any]") -> None:
    if done.cancelled():
        return
    if (failure := done.exception()) is not None:
        run.say(AbortAsked(str(failure) if isinstance(failure, AskingFailed) else repr(failure)))
        return
    ruling = done.result()
    run.say(Approved(", ".join(ruling.by)) if isinstance(ruling, Granted) else Rejected(ruling.by, ruling.reason))


def _keep_answers(run: CanaryRun, hearing: Hearing) -> None:
    run.change.approvals += hearing.answers
    if hearing.refused:
        run.change.evidence["answers that did not count"] = "; ".join(hearing.refused)


@task(name="promote", task_run_name="promote", cache_policy=NO_CACHE)
async def promote_canary(run: CanaryRun) -> str:
    """Full size first, still watched; then all of the traffic, and the old release goes."""
    await run.watch(until=lambda rollout: rollout.phase is not Phase.SCALING)
    return run.rollout.why


@task(name="roll back", task_run_name="roll back", cache_policy=NO_CACHE)
async def abort_canary(run: CanaryRun, failure: BaseException) -> BaseException:
    """Whatever went wrong: no traffic, and gone; what went wrong, or what keeps it from being undone."""
    if isinstance(failure, PermitRevoked):
        return failure
    try:
        if await has_taken_over(run.change):
            await run.happen(TookOver())
            return failure
        await run.happen(AbortAsked(reason_of(failure)))
        await undo_migration(run.change)
    except (PlatformTrouble, PermanentError, OSError) as trouble:
        return trouble
    return failure


async def conclude_canary(run: CanaryRun, failure: BaseException | None) -> State[Any]:
    """The record, the report with its plot, and how the flow run ends."""
    change, rollout = run.change, run.rollout
    if isinstance(failure, PermitRevoked):
        return Failed(message=f"{failure}; the guard has undone the canary and has put it on record")
    if isinstance(failure, NotAllowed) and not change.has_moved:
        return refused(failure)
    ending = {Phase.PROMOTED: Ending.RELEASED, Phase.ROLLED_BACK: Ending.ROLLED_BACK}.get(rollout.phase, Ending.FAILED)
    why = rollout.why if ending is not Ending.FAILED else f"{rollout.why}; and could not be undone: {failure}"
    if run.judgements:
        change.evidence.update(evidence_of(run.judgements[-1]) | {"snapshots": str(run.folder)})
    record = await keep_record(change, ending, why, _remedy(run, ending), partial(_page, run))
    await notify(change, ending, why)
    message = f"record {record.number}: {ending}: {why}"
    if ending is Ending.RELEASED:
        return Completed(message=message)
    return Cancelled(message=message) if isinstance(failure, asyncio.CancelledError) else Failed(message=message)


def _page(run: CanaryRun, record: Record) -> str:
    """The report; of a canary that cannot be drawn, the record's own page."""
    try:
        _close_log(run)
        return canary_page(run.head, run.judgements, run.story_lines(), plot=_plot(run))
    except Exception as trouble:  # noqa: BLE001  (the record is written: a picture that fails must not change how it ended)
        return f"{delivery_page(record)}\nThe canary's own report could not be made: {trouble}\n"


def _plot(run: CanaryRun) -> str:
    policy = run.change.delivery.canary.judge
    deciding = Deciding(harm=1 / policy.alpha, health=1 / policy.beta)
    return canary_plot(run.snapshots, run.judgements, run.marks(), deciding)


def _close_log(run: CanaryRun) -> None:
    ended = {"phase": run.rollout.phase, "why": run.rollout.why, "ended_after_seconds": round(run.seconds, 3)}
    run.head = run.head.model_copy(update=ended)
    if run.folder.is_dir():
        canary_logs.write_head(run.folder, run.head)


def _remedy(run: CanaryRun, ending: Ending) -> str:
    if ending is Ending.RELEASED:
        return ""
    if not run.judgements:
        return "look at the instances' logs"
    if run.judgements[-1].verdict is CanaryVerdict.PASS:
        return "nothing is known against the release: see to what ended its canary, and try it again"
    return f"{run.judgements[-1].remedy}; towpath replay judges it again by other rules"
