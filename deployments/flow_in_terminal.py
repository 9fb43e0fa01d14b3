"""A flow run in this process, and what the terminal sees of it.

The flow lives in a thread of its own, so that signals stay with the terminal: Ctrl-C or SIGTERM kills every tool at
once, ends the flow, and leaves its run Cancelled on the server, all within two seconds.
"""

import argparse
import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, assert_never, cast
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Crashed

from deployments.live import Display, make_display
from deployments.saying import complain
from flows.ci import ci
from tasks.adapters import live_runs, process
from tasks.adapters.daemons import call
from tasks.core.outcome import ExitCode, exit_code
from tasks.core.records import Ending, Record
from tasks.core.rendering import junit
from tasks.core.results import Report
from tasks.retrying import BadInput, NotAllowed
from tasks.watching import DeliveryEnded, Event, RunEnded, RunStarted, watcher

Start = Callable[[], Awaitable[State[Any]]]


@dataclass(frozen=True)
class Ended:
    """How the run ended: its report when it came that far, and the exit code of the command."""

    exit_code: int
    report: Report | None = None
    record: Record | None = None
    is_server_gone: bool = False

    def junit(self) -> str:
        return junit(self.report) if self.report else ""


class FlowThread(threading.Thread):
    """One flow run in its own event loop. `stop` may be called from a signal handler, and more than once."""

    def __init__(self, start: Start, state: Path, watch: Callable[[Event], None]) -> None:
        super().__init__(name="flow", daemon=True)
        self._start_flow = start
        self._state = state
        self._watch = watch
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[Any] | None = None
        self.run_id = ""
        self.report: Report | None = None
        self.record: Record | None = None
        self.final: State[Any] | None = None
        self.is_stopped = False
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._loop.run_until_complete(self._main())
        except BaseException as failure:  # noqa: BLE001  (a thread's exception is lost unless it is kept)
            self.failure = failure
        finally:
            self._loop.close()

    async def _main(self) -> None:
        watcher.set(self._hear)
        self._task = asyncio.create_task(self._flow())
        with suppress(asyncio.CancelledError):
            await self._task
        if self.is_stopped and self.run_id and self.final is None:
            await set_final(self.run_id, Cancelled(message="stopped from the terminal"))
        await bury_dead_runs(self._state)

    async def _flow(self) -> None:
        self.final = await self._start_flow()

    def _hear(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.run_id = event.run_id
            case RunEnded():
                self.report = event.report
            case DeliveryEnded():
                self.record = event.record
            case _:
                pass
        self._watch(event)

    def is_left_alone(self) -> bool:
        """Whether everything is done and on record, and all that is left is to tell it to a server that is gone."""
        if self.record is None or self.run_id in live_runs.live_and_dead(self._state)[0]:
            return False
        return not is_server_there()

    def stop(self) -> None:
        self.is_stopped = True
        process.kill_all()
        if self._task is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._task.cancel)


def placed(target: str) -> str:
    """A folder by its whole path, so that the run's page says which one; an address as it is."""
    return str(Path(target).resolve()) if Path(target).is_dir() else target


async def set_final(run_id: str, state: State[Any]) -> None:
    async with get_client() as client:
        await client.set_flow_run_state(UUID(run_id), state, force=True)


async def bury_dead_runs(state: Path) -> None:
    """Runs of this machine that were killed with -9 stay Running on the server until somebody says that they died."""
    _, dead = live_runs.live_and_dead(state)
    for run_id in dead:
        with suppress(Exception):
            await set_final(run_id, Crashed(message="its process died without a word"))
        live_runs.forget(state, run_id)


def run_ci(chosen: argparse.Namespace, state: Path) -> Ended:
    """CI under a display until it ends or a signal ends it."""

    async def start() -> State[Any]:
        run = ci(
            placed(chosen.target),
            ref=chosen.ref,
            fail_fast=chosen.fail_fast,
            use_cache=not chosen.no_cache,
            may_lack=chosen.allow_missing,
            overrides=chosen.set,
            return_state=True,
        )
        return cast("State[Any]", await cast("Any", run))

    with make_display(is_plain=chosen.plain) as display:
        return run_flow("ci", start, state, display)


def run_security(chosen: argparse.Namespace, state: Path) -> Ended:
    """The security scan under a display until it ends or a signal ends it."""
    from flows.security import security

    async def start() -> State[Any]:
        run = security(
            placed(chosen.target),
            ref=chosen.ref,
            base=chosen.base,
            block_on=chosen.block_on,
            use_cache=not chosen.no_cache,
            may_lack=chosen.allow_missing,
            overrides=chosen.set,
            watch_production=chosen.production,
            return_state=True,
        )
        return cast("State[Any]", await cast("Any", run))

    with make_display(is_plain=chosen.plain, title="Security") as display:
        return run_flow("security", start, state, display)


def run_pr_checks(chosen: argparse.Namespace, state: Path) -> Ended:
    """The checks of a pull request under a display until they end or a signal ends them."""
    from flows.pr_checks import pr_checks

    async def start() -> State[Any]:
        run = pr_checks(
            placed(chosen.target),
            chosen.base,
            ref=chosen.ref,
            title=chosen.title,
            overrides=chosen.set,
            return_state=True,
        )
        return cast("State[Any]", await cast("Any", run))

    with make_display(is_plain=chosen.plain, title="Pull request") as display:
        return run_flow("pr", start, state, display)


def run_flow(
    name: str, start: Start, state: Path, display: Display, *, idle: Callable[[], None] | None = None
) -> Ended:
    """Run the flow until it ends or a signal ends it; `idle` is called a few times a second meanwhile."""
    thread = FlowThread(start, state, display.hear)
    # What Prefect could not send to its server it would tell in pages; what matters of the run is told by us.
    logging.raiseExceptions = False
    with _signals(thread):
        thread.start()
        while thread.is_alive() and not thread.is_left_alone():
            thread.join(0.2 if idle is None else 0.05)
            if idle is not None:
                idle()
    return replace(_ended(name, thread), is_server_gone=thread.is_alive() or not is_server_there())


def is_server_there() -> bool:
    return asyncio.run(call("GET", f"{os.environ.get('PREFECT_API_URL', '')}/health", seconds=5.0)) != 0


@contextmanager
def _signals(thread: FlowThread) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        thread.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reason(final: State[Any]) -> object:
    """What the state was made of; Prefect may have put it into a record of its own."""
    return getattr(final.data, "result", final.data)


def _ended(name: str, thread: FlowThread) -> Ended:
    if thread.record is not None:
        return Ended(130 if thread.is_stopped else _code_of(thread.record), record=thread.record)
    if thread.is_stopped:
        complain(f"towpath {name}: stopped; the run is Cancelled")
        return Ended(130)
    if thread.report is not None:
        return Ended(exit_code(thread.report.verdict), thread.report)
    if thread.final is not None and thread.final.is_completed():
        return Ended(ExitCode.PASSED)
    reason = _reason(thread.final) if thread.final is not None else thread.failure
    message = thread.final.message if thread.final is not None else str(thread.failure)
    complain(f"towpath {name}: {message or type(thread.failure).__name__}")
    return Ended(_code_for(reason))


def _code_of(record: Record) -> ExitCode:
    match record.ending:
        case Ending.RELEASED:
            return ExitCode.PASSED
        case Ending.ROLLED_BACK:
            return ExitCode.FAILED
        case Ending.FAILED:
            return ExitCode.ERROR
        case _:
            assert_never(record.ending)


def _code_for(reason: object) -> ExitCode:
    if isinstance(reason, BadInput):
        return ExitCode.USAGE
    return ExitCode.FAILED if isinstance(reason, NotAllowed) else ExitCode.ERROR
