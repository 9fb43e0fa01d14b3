"""The CI flow run in this process, and what the terminal sees of it.

The flow lives in a thread of its own, so that signals stay with the terminal: Ctrl-C or SIGTERM kills every tool at
once, ends the flow, and leaves its run Cancelled on the server, all within two seconds.
"""

import argparse
import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Crashed

from deployments.live import make_display
from deployments.saying import complain
from flows.ci import ci
from tasks.adapters import live_runs, process
from tasks.core.outcome import ExitCode, exit_code
from tasks.core.rendering import junit
from tasks.core.results import Report
from tasks.retrying import BadInput
from tasks.watching import Event, RunEnded, RunStarted, watcher


@dataclass(frozen=True)
class Ended:
    """How the run ended: its report when it came that far, and the exit code of the command."""

    exit_code: int
    report: Report | None = None

    def junit(self) -> str:
        return junit(self.report) if self.report else ""


class FlowThread(threading.Thread):
    """One flow run in its own event loop. `stop` may be called from a signal handler, and more than once."""

    def __init__(self, chosen: argparse.Namespace, state: Path, watch: Any) -> None:
        super().__init__(name="flow", daemon=True)
        self._chosen = chosen
        self._state = state
        self._watch = watch
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[Any] | None = None
        self.run_id = ""
        self.report: Report | None = None
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
        if self.is_stopped and self.run_id:
            await set_final(self.run_id, Cancelled(message="stopped from the terminal"))
        await bury_dead_runs(self._state)

    async def _flow(self) -> None:
        chosen = self._chosen
        run = ci(
            _placed(chosen.target),
            ref=chosen.ref,
            fail_fast=chosen.fail_fast,
            use_cache=not chosen.no_cache,
            may_lack=chosen.allow_missing,
            overrides=chosen.set,
            return_state=True,
        )
        self.final = await cast("Any", run)

    def _hear(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.run_id = event.run_id
            case RunEnded():
                self.report = event.report
            case _:
                pass
        self._watch(event)

    def stop(self) -> None:
        self.is_stopped = True
        process.kill_all()
        if self._task is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._task.cancel)


def _placed(target: str) -> str:
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
    """Run the flow under a display until it ends or a signal ends it."""
    with make_display(is_plain=chosen.plain) as display:
        thread = FlowThread(chosen, state, display.hear)
        with _signals(thread):
            thread.start()
            while thread.is_alive():
                thread.join(0.2)
    return _ended(thread)


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


def _ended(thread: FlowThread) -> Ended:
    if thread.is_stopped:
        complain("towpath ci: stopped; the run is Cancelled")
        return Ended(130)
    if thread.report is not None:
        return Ended(exit_code(thread.report.verdict), thread.report)
    reason = _reason(thread.final) if thread.final is not None else thread.failure
    message = thread.final.message if thread.final is not None else str(thread.failure)
    complain(f"towpath ci: {message or type(thread.failure).__name__}")
    return Ended(ExitCode.USAGE if isinstance(reason, BadInput) else ExitCode.ERROR)
