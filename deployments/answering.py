"""`towpath approve` and `towpath reject`: answers judged here first, so that one that does not count says why.

What counts is handed to the paused flow run, which judges it again. An answer after the end, for another release, by
somebody who may not, or by the same person twice, is refused with its reason; none is lost silently.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from deployments.saying import complain, say
from tasks.adapters.approvals import Found, all_pending, ask_for_abort, outcome_of, write_proof
from tasks.adapters.flow_runs import ServerBusy, ServerSilent, api_of, resume
from tasks.adapters.grounds import known_grounds
from tasks.adapters.live_runs import live_and_dead
from tasks.adapters.platforms.choosing import safekeeping_of
from tasks.adapters.state import state_home
from tasks.core.approval import Answer, Decision, Denied, Granted, Refused, Waiting, rule, teams_among
from tasks.core.forge.words import ForgeLater, ForgeRefused
from tasks.core.outcome import ExitCode
from tasks.core.platform import PlatformTrouble
from tasks.core.records import Kind

_NEXT_PAUSE_SECONDS = 20.0
IsIn = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True)
class Answered:
    """What became of an answer."""

    exit_code: ExitCode
    said: str


def give(decision: Decision, run: str, *, by: str, reason: str, digest: str | None = None) -> int:
    """Hand an answer over from the command line, and say what became of it."""
    try:
        done = asyncio.run(answer(state_home(), run, decision, by=by, reason=reason, digest=digest))
    except PlatformTrouble as trouble:
        done = Answered(ExitCode.ERROR, f"the answer could not be judged: {trouble}")
    (say if done.exit_code is ExitCode.PASSED else complain)(done.said)
    return done.exit_code


async def answer(
    state: Path,
    run: str,
    decision: Decision,
    *,
    by: str,
    reason: str,
    digest: str | None = None,
    is_proved: bool = False,
    is_in: IsIn | None = None,
) -> Answered:
    """Give an answer to the run whose id begins so. `is_proved` is for a caller that has seen a signature, `is_in` for
    one that can ask whether the name is in a team."""
    matching = [found for found in all_pending(state) if found.pending.request.run.startswith(run)]
    if len(matching) > 1:
        return Answered(ExitCode.USAGE, f"{run} is the beginning of several runs that wait: say more of it")
    if not matching:
        return await _not_waiting(state, run, decision, by=by, reason=reason)
    digest = digest or matching[0].pending.request.digest
    teams: tuple[str, ...] = ()
    if is_in is not None:
        try:
            wanted = teams_among(matching[0].pending.request.approvers)
            teams = tuple([team for team in wanted if await is_in(team)])
        except (ForgeLater, ForgeRefused) as trouble:
            return _unknown(by, trouble)
    given = Answer(
        decision=decision,
        by=by,
        reason=reason,
        digest=digest,
        at=time.time(),
        is_proved=is_proved,
        teams=teams,
    )
    return await _answer(state, matching[0], given)


def _unknown(by: str, trouble: ForgeLater | ForgeRefused) -> Answered:
    """A forge that is away may be asked again."""
    is_away = isinstance(trouble, ForgeLater)
    said = f"which of the approvers' teams {by} is in could not be found out: {trouble}"
    return Answered(ExitCode.ERROR, said) if is_away else Answered(ExitCode.FAILED, f"refused: {said}")


async def _answer(state: Path, found: Found, given: Answer) -> Answered:
    request = found.pending.request
    if request.run not in live_and_dead(state)[0]:
        return Answered(ExitCode.FAILED, f"refused: the process of run {request.run} died, and nobody would hear it")
    ruling = rule(request, found.pending.answers, given)
    if isinstance(ruling, Refused):
        return Answered(ExitCode.FAILED, f"refused: {ruling.reason}")
    word = request.yes if given.decision is Decision.APPROVE else given.decision.value
    form = {"decision": word, "by": given.by, "reason": given.reason or "none given", "digest": given.digest}
    if given.is_proved:
        write_proof(found.ground, request.run, given)
    try:
        trouble = await _hand_over(api_of(state), request.run, form)
    except ServerSilent as silent:
        return Answered(ExitCode.ERROR, f"the answer could not be handed over: {silent}")
    if trouble:
        return Answered(ExitCode.ERROR, f"the answer was not taken: {trouble}")
    match ruling:
        case Granted():
            names = "name proved" if given.is_proved else "names as claimed"
            return Answered(ExitCode.PASSED, f"{request.version} is approved by {', '.join(ruling.by)} ({names})")
        case Denied():
            return Answered(ExitCode.PASSED, f"{request.version} is rejected; it is being taken back")
        case Waiting():
            return Answered(ExitCode.PASSED, f"heard; {ruling.missing} more approval(s) needed, each by another name")
        case _:
            assert_never(ruling)


async def _hand_over(api_url: str, run: str, form: dict[str, str]) -> str:
    """Why the server would not take it; a busy one is asked again, as is a run that has not paused yet."""
    deadline = time.monotonic() + _NEXT_PAUSE_SECONDS
    while True:
        is_last = time.monotonic() >= deadline
        try:
            taken = await resume(api_url, run, form)
        except ServerBusy:
            if is_last:
                raise
        else:
            if taken.is_accepted:
                return ""
            if taken.is_paused or is_last:
                return taken.reason or "it gave no reason"
        # NOTE: the server tells nobody when a run pauses.
        await asyncio.sleep(0.25)


async def _not_waiting(state: Path, run: str, decision: Decision, *, by: str, reason: str) -> Answered:
    """A run that waits for nobody: a canary under way can still be taken back, and an ended one says how it ended."""
    for ground in known_grounds(state):
        keeping = safekeeping_of(ground)
        intent = await keeping.promise.read()
        if intent is not None and intent.run.startswith(run):
            if decision is Decision.REJECT and intent.kind is Kind.CANARY:
                ask_for_abort(ground, intent.run, by=by, reason=reason or "no reason given")
                return Answered(ExitCode.PASSED, f"{intent.release.version} will be taken back at its next look")
            return Answered(ExitCode.FAILED, f"refused: run {run} does not wait for an approval now; it is under way")
        for record in reversed(await keeping.ledger.records()):
            if record.run.startswith(run):
                by_whom = f", approved by {', '.join(each.by for each in record.approvals)}" if record.approvals else ""
                ended = f"{record.ending}{by_whom}: {record.reason}"
                return Answered(ExitCode.FAILED, f"refused: run {run} is over, record {record.number}: {ended}")
    if outcome := outcome_of(state, run):
        return Answered(ExitCode.FAILED, f"refused: the question of run {run} is closed: {outcome}")
    return Answered(ExitCode.USAGE, f"no run {run} waits for an approval: towpath status lists those that do")
