"""Showing a run where people review: a check for the run and one for each of its checks, a comment, labels.

It solves that nobody looks into Prefect to see whether a pull request may be merged. It promises that a run which was
shown as going on is shown as ended, however it ends. A forge that is away must never change how a run ends: what could
not be shown is a red task and a line in the log.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.utilities.annotations import quote

from tasks.adapters.forges import forge_of
from tasks.adapters.shown_runs import ShownRun, forget_shown, remember_shown
from tasks.adapters.state import state_home
from tasks.core.forge.checks import checks_of, started_check, stopped_check
from tasks.core.forge.words import ForgeCheck, ForgeLater, ForgeRefused
from tasks.core.origin import Origin
from tasks.core.outcome import Verdict
from tasks.core.results import Report
from tasks.opening import current_run_id, run_page
from tasks.retrying import PermanentError, TemporaryError

# NOTE: a run must not wait long for a forge: what could not be shown is shown later.
_START_SECONDS, _END_SECONDS = 15.0, 120.0
_NO_REPORT = "the run ended without a report: see its page"


@dataclass(frozen=True)
class Shown:
    """What is shown of a run beside its checks: a comment's text, the labels that fit, and those Towpath may set."""

    comment: str = ""
    labels: frozenset[str] = frozenset()
    pool: frozenset[str] = frozenset()


class Showing:
    """Where one run is shown; without an origin it does nothing. No dataclass: Prefect would look into it."""

    def __init__(self, run: ShownRun | None) -> None:
        self._run = run
        self.has_ended = run is None

    async def end(self, report: Report, *, summary: str = "", shown: Shown = Shown()) -> None:
        """Show how it went. Never raises for what the forge does."""
        if self._run is None:
            return
        every = checks_of(report, self._run.origin, run_id=self._run.run_id, summary=summary)
        skipped = {check.id for check in report.checks if check.verdict is Verdict.SKIPPED}
        # NOTE: a forge takes a skipped check for a success; one that is not there stays what it is.
        wanted = [check for check in every if not any(check.key.endswith(f"/{name}") for name in skipped)]
        await self._conclude((*wanted[1:], wanted[0]), shown)

    async def stop(self, reason: str, *, is_cancelled: bool) -> None:
        if self._run is not None and not self.has_ended:
            run = self._run
            check = stopped_check(run.flow, run.run_id, run.page, run.origin, reason=reason, is_cancelled=is_cancelled)
            await self._conclude((check,), Shown())

    async def _conclude(self, checks: tuple[ForgeCheck, ...], shown: Shown) -> None:
        """The last check is the whole run's; what the forge did not hear of is kept for who looks after the dead."""
        assert self._run is not None
        self.has_ended = True
        whole = checks[-1]
        remember_shown(state_home(), replace(self._run, ending=whole.conclusion.value, reason=whole.title))
        if await is_told(_attempt(self._run.origin, checks, shown, seconds=_END_SECONDS), self._run.origin):
            forget_shown(state_home(), self._run.run_id)


@asynccontextmanager
async def showing(origin: Origin | None, flow: str) -> AsyncIterator[Showing]:
    """Show that the run goes on, and, when the context ends without a report, that it came to none."""
    if origin is None:
        yield Showing(None)
        return
    run = ShownRun(current_run_id(), flow, run_page(current_run_id()), origin)
    remember_shown(state_home(), run)
    begun = (started_check(flow, run.run_id, run.page, origin),)
    await is_told(_attempt(origin, begun, Shown(), seconds=_START_SECONDS), origin)
    shown = Showing(run)
    try:
        yield shown
    except BaseException as failure:
        is_cancelled = not isinstance(failure, Exception)
        await shown.stop("the run was cancelled" if is_cancelled else _NO_REPORT, is_cancelled=is_cancelled)
        raise
    await shown.stop(_NO_REPORT, is_cancelled=False)


def _attempt(origin: Origin, checks: tuple[ForgeCheck, ...], shown: Shown, *, seconds: float) -> object:
    return show_at_forge(origin, cast("tuple[ForgeCheck, ...]", quote(checks)), shown, seconds, return_state=True)


async def is_told(attempt: object, origin: Origin) -> bool:
    """Whether the forge has it, or never can; what it has not is a red task and a line in the log.

    `attempt` is a task's run with return_state.
    """
    state = await cast("Awaitable[State[Any]]", attempt)
    if state.is_failed():
        get_run_logger().warning("NOT SHOWN at %s: %s", origin.repository, state.message)
    return not isinstance(await state.aresult(raise_on_failure=False), TemporaryError)


@task(name="show at forge", cache_policy=NO_CACHE)
async def show_at_forge(origin: Origin, checks: tuple[ForgeCheck, ...], shown: Shown, seconds: float) -> None:
    """Each by itself, so that one the forge will not have keeps no other. Raises TemporaryError, PermanentError."""
    try:
        async with asyncio.timeout(seconds), forge_of(origin) as forge:
            refused = [said for check in checks if (said := await _refusal(forge.write_check(origin, check)))]
            if shown.comment and origin.pull_request:
                refused.append(await _refusal(forge.write_comment(origin, shown.comment, name="pr")))
            if shown.pool and origin.pull_request:
                refused.append(await _refusal(forge.write_labels(origin, shown.labels, pool=shown.pool)))
    except TimeoutError as slow:
        raise TemporaryError(f"the forge took more than {seconds:g} s") from slow
    except ForgeLater as later:
        raise TemporaryError(str(later)) from later
    except ForgeRefused as never:
        raise PermanentError(str(never)) from never
    if troubles := [*filter(None, refused)]:
        raise PermanentError(troubles[0])


async def _refusal(act: Awaitable[object]) -> str:
    try:
        await act
    except ForgeRefused as refused:
        return str(refused)
    return ""
