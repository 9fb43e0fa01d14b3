"""The whole road on the sample shop, for somebody with a laptop and five minutes.

Three versions of the shop in a repository of their own: v1.0.0 goes through CI, staging and production; v1.1.0 is a
good canary and is promoted when somebody says yes; v1.2.0 carries a setting that fails every tenth request in
production and nowhere else, and is caught. Everything is real: the flows, the server, the router, the load.
"""

import argparse
import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.answering import answer
from deployments.delivering import Prompter
from deployments.leaving import QuickExit, without_collections
from deployments.saying import complain, say
from deployments.server import ServerUnavailable, ensure_server
from deployments.target_runs import prefect_environment
from tasks.adapters.demo_repository import DemoFailed, make_repository
from tasks.adapters.keepers import start_keepers
from tasks.adapters.load import Tally, read_tally
from tasks.adapters.process import Command, run
from tasks.adapters.state import state_home
from tasks.core.approval import Decision
from tasks.core.outcome import ExitCode

if TYPE_CHECKING:
    from deployments.flow_in_terminal import Ended
    from tasks.core.records import Record
    from tasks.watching import Event

_PER_SECOND = 100.0
_LOAD_SECONDS = 1800.0
_TARGET = "shop"


@dataclass
class Shown:
    """What the demonstration has to tell at its end."""

    ended: list[tuple[str, str, float]]
    url: str = ""
    ui_url: str = ""

    def add(self, what: str, how: str, seconds: float) -> None:
        self.ended.append((what, how, seconds))


class Stage:
    """One demonstration: the repository, the state, and what has been shown."""

    def __init__(self, repository: Path, state: Path, *, is_plain: bool) -> None:
        self.repository = repository
        self.state = state
        self.is_plain = is_plain
        self.shown = Shown([])

    def ci(self, version: str) -> bool:
        """Take one version through CI."""
        from deployments.flow_in_terminal import run_ci

        words = argparse.Namespace(
            target=str(self.repository),
            ref=version,
            fail_fast=False,
            no_cache=False,
            allow_missing=["docker"],
            set=[],
            plain=self.is_plain,
        )
        ended, seconds = self._timed(f"CI of {version}", lambda: run_ci(words, self.state))
        self.shown.add(f"CI of {version}", ended.report.reason if ended.report else "not done", seconds)
        return ended.exit_code == ExitCode.PASSED

    def deliver(self, title: str, name: str, start: Callable[[], Any]) -> "Ended":
        """Run one delivery flow under its live view."""
        from deployments.flow_in_terminal import run_flow
        from deployments.live_delivery import make_delivery_display

        def flow() -> "Ended":
            with make_delivery_display(is_plain=self.is_plain) as display:
                prompter = self._prompter(display.hear)
                return run_flow(name, start, self.state, prompter, idle=prompter.idle)

        ended, seconds = self._timed(title, flow)
        self.shown.add(title, _how(ended.record), seconds)
        return ended

    def _prompter(self, hear: Callable[["Event"], None]) -> Prompter:
        if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("YES") != "1":
            return Prompter(self.state, hear, is_asking=True, by="demo")
        return YesSayer(self.state, hear)

    def _timed(self, title: str, work: Callable[[], "Ended"]) -> tuple["Ended", float]:
        say()
        say(f"── {title} ──")
        began = time.monotonic()
        ended = work()
        return ended, time.monotonic() - began


class YesSayer(Prompter):
    """Approves by itself, where nobody is there to ask or YES=1 says so; it says that it did."""

    def __init__(self, state: Path, watch: Callable[["Event"], None]) -> None:
        super().__init__(state, watch, is_asking=False, by="demo")

    def hear(self, event: "Event") -> None:
        from tasks.watching import ApprovalAsked

        super().hear(event)
        if isinstance(event, ApprovalAsked):
            threading.Thread(target=self._say_yes, args=(event.request.run,), daemon=True).start()

    def _say_yes(self, run_id: str) -> None:
        reason = "the demonstration says yes by itself (YES=1, or no terminal to ask)"
        done = asyncio.run(answer(self._state, run_id, Decision.APPROVE, by="demo", reason=reason))
        if done.exit_code is not ExitCode.PASSED:
            complain(done.said)


@contextmanager
def steady_load(url: str, folder: Path) -> Iterator[Callable[[], Tally]]:
    """Requests to the shop's products in a process of its own, which ends with this one whatever becomes of it."""
    tally_file = folder / "tally.json"
    tally_file.unlink(missing_ok=True)
    command = Command(
        argv=(
            *(sys.executable, "-m", "deployments.load", f"{url}/api/products"),
            *(str(_PER_SECOND), str(_LOAD_SECONDS), str(tally_file)),
        ),
        directory=folder,
        log=folder / "load.log",
        timeout_seconds=_LOAD_SECONDS + 60,
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    sending = asyncio.run_coroutine_threadsafe(run(command), loop)
    try:
        yield lambda: read_tally(tally_file)
    finally:
        sending.cancel()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5.0)


def show(*, is_plain: bool) -> int:
    """The demonstration from beginning to end; its exit code says whether all of it went as it should."""
    state = state_home()
    try:
        repository = asyncio.run(make_repository(state / "demo"))
        address = asyncio.run(ensure_server(state, on_progress=say))
        asyncio.run(start_keepers(state))
    except (ServerUnavailable, DemoFailed, OSError) as trouble:
        complain(f"towpath demo: {trouble}")
        return ExitCode.ERROR
    os.environ.update(prefect_environment(state, address.api_url))
    leave = QuickExit()
    with without_collections():
        import deployments.flow_in_terminal  # noqa: F401
    stage = Stage(repository, state, is_plain=is_plain)
    stage.shown.ui_url = address.ui_url
    leave.code = _play(stage)
    _conclude(stage)
    return leave.code


def _play(stage: Stage) -> int:
    from flows.canary import canary
    from flows.cd import cd
    from flows.production import production

    target = str(stage.repository)

    def to_staging(version: str) -> bool:
        def start() -> Any:
            return cd(target, ref=version, who="demo", why="demonstration", return_state=True)

        return stage.ci(version) and _ended_well(stage.deliver(f"{version} to staging", "cd", start))

    def release() -> Any:
        return production(target, "v1.0.0", who="demo", why="demonstration", return_state=True)

    def trial(version: str) -> Callable[[], Any]:
        return lambda: canary(target, ref=version, who="demo", why="demonstration", return_state=True)

    if not to_staging("v1.0.0"):
        return ExitCode.FAILED
    first = stage.deliver("v1.0.0 to production", "production", release)
    if not _ended_well(first):
        return ExitCode.FAILED
    stage.shown.url = _production_url(stage.state)
    say(f"the shop: {stage.shown.url}   Prefect: {stage.shown.ui_url}")
    with steady_load(stage.shown.url, stage.state / "demo") as tally:
        if not to_staging("v1.1.0"):
            return ExitCode.FAILED
        good = stage.deliver("canary of v1.1.0, which is good", "canary", trial("v1.1.0"))
        before = tally()
        say(f"load so far: {_load_line(before)}")
        if not _ended_well(good) or not to_staging("v1.2.0"):
            return ExitCode.FAILED
        bad = stage.deliver("canary of v1.2.0, which fails every tenth request", "canary", trial("v1.2.0"))
        after = tally()
    stage.shown.add("load before the bad canary", _load_line(before), 0.0)
    stage.shown.add("load over all", _load_line(after), 0.0)
    return ExitCode.PASSED if _is_caught(bad.record) and not before.failed else ExitCode.FAILED


def _ended_well(ended: "Ended") -> bool:
    return ended.exit_code == ExitCode.PASSED


def _is_caught(record: "Record | None") -> bool:
    return record is not None and record.ending.value == "rolled-back" and record.evidence.get("verdict") == "fail"


def _how(record: "Record | None") -> str:
    """How it ended and why; of a canary also how long it had traffic."""
    if record is None:
        return "not done"
    after = f", {record.evidence['after']} after it got traffic" if "after" in record.evidence else ""
    return f"{record.ending}{after}: {record.reason}"


def _production_url(state: Path) -> str:
    from tasks.adapters.platforms.local.platform import LocalPlatform

    return asyncio.run(LocalPlatform(state, _TARGET).status("production")).url


def _load_line(tally: Tally) -> str:
    slowest = f"slowest {1000 * tally.slowest_seconds:.0f} ms"
    return f"{tally.requests:,} requests, {tally.failed:,} failed, {slowest}"


def _conclude(stage: Stage) -> None:
    say()
    say("── what you have seen ──")
    for what, how, seconds in stage.shown.ended:
        took = f"{seconds:6.1f} s" if seconds else "        "
        say(f"{took}  {what}: {' '.join(how.split())}")
    say()
    say(f"the shop       {stage.shown.url or 'did not get to production'}")
    say(f"Prefect        {stage.shown.ui_url}   runs, their graphs, and the canary reports under Artifacts")
    say("look further   towpath status production; towpath history production; towpath show 2; towpath replay")
    say("stop it all    make down")
