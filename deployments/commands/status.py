"""`towpath status`: what runs in the background, and how the last runs ended, from their reports on disk."""

import argparse
import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deployments.saying import say
from deployments.server import DaemonStatus, describe
from tasks.adapters.live_runs import live_and_dead
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode

_SHOWN_RUNS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(chosen: argparse.Namespace) -> int:
    state = state_home()
    status = asyncio.run(describe(state))
    say(f"server  {_line(status.server)}")
    say(f"worker  {_line(status.worker)}")
    live, dead = live_and_dead(state)
    say(f"runs    {len(live)} now" + (f", {len(dead)} died without a word" if dead else ""))
    for line in _last_runs(state / "reports"):
        say(f"        {line}")
    say(f"state   {state}")
    return ExitCode.PASSED


def _line(daemon: DaemonStatus) -> str:
    if not daemon.is_running:
        return f"does not run; log: {daemon.log}" if daemon.log.exists() else "does not run"
    answers = "" if daemon.is_answering else ", but does not answer"
    since = f" since {daemon.since:%Y-%m-%d %H:%M}" if daemon.since else ""
    return f"{daemon.url} runs as {daemon.pid}{since}{answers}".strip()


def _last_runs(reports: Path) -> Iterator[str]:
    folders = sorted((folder for folder in reports.glob("*") if folder.is_dir()), reverse=True)
    for folder in folders[:_SHOWN_RUNS]:
        with suppress(OSError, ValueError, KeyError):
            report = json.loads((folder / "report.json").read_text())
            yield f"{report['started']} {report['flow']} of {report['name']}: {report['verdict']}, {report['reason']}"
