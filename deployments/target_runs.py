"""What the commands that examine a target share: the server, Prefect, the flow under a display, the files asked for."""

import argparse
import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.leaving import QuickExit, without_collections
from deployments.runner import tell_runner, unheard
from deployments.saying import complain, say
from deployments.server import ServerUnavailable, ensure_server
from tasks.adapters.state import state_home, write_atomically
from tasks.core.outcome import ExitCode

if TYPE_CHECKING:
    from deployments.flow_in_terminal import Ended

Runner = Callable[[argparse.Namespace, Path], "Ended"]


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """The words that every command over a target understands."""
    parser.add_argument(
        "target", nargs="?", default=".", help="folder in a git work tree, or a git URL (default: here)"
    )
    parser.add_argument(
        "--ref", help="branch, tag or commit; by default the work tree as it is, uncommitted changes too"
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """How a run goes and where its report is written."""
    parser.add_argument(
        "--allow-missing",
        action="append",
        default=[],
        choices=["docker"],
        help="skip, with a reason, the checks that need this where it is absent; otherwise they are errors",
    )
    add_report_arguments(parser)


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Settings of one run, and where its report is written."""
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting over towpath.toml's")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the full report; its form is docs/report.md")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the report as JUnit XML")
    parser.add_argument("--plain", action="store_true", help="one line per event instead of the live table")


def run_over_target(
    name: str, chosen: argparse.Namespace, runner_of: Callable[[], Runner], *, also: tuple[Path | None, ...] = ()
) -> tuple[int, "Ended | None"]:
    """Run a flow over a target; exit code, and how it ended. `runner_of` imports Prefect.

    The server is looked for before Prefect is imported, since its address must be known. `also` are further files the
    caller will write.
    """
    for path in (chosen.json, chosen.junit, *also):
        if path is not None and not path.absolute().parent.is_dir():
            complain(f"towpath {name}: {path.parent} is no folder: make it first")
            return ExitCode.USAGE, None
    state = state_home()
    try:
        address = asyncio.run(ensure_server(state, on_progress=say))
    except ServerUnavailable as unavailable:
        complain(f"towpath {name}: {unavailable}")
        return ExitCode.ERROR, None
    os.environ.update(prefect_environment(state, address.api_url))
    leave = QuickExit()
    with without_collections():
        runner = runner_of()
    with unheard():
        ended = runner(chosen, state)
    if ended.report is not None:
        tell_runner(ended.report)
        _write_reports(chosen, ended.report.model_dump_json(indent=2) + "\n", ended.junit())
    leave.code = ended.exit_code
    if ended.is_server_gone:
        leave.leave_now()
    return ended.exit_code, ended


def prefect_environment(state: Path, api_url: str) -> dict[str, str]:
    """What Prefect in this process must know: where the API is, where results live, and to leave the terminal to us."""
    return {
        "PREFECT_API_URL": api_url,
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_LOCAL_STORAGE_PATH": str(state / "results" / "trusted"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }


def _write_reports(chosen: argparse.Namespace, report: str, junit: str) -> None:
    if chosen.json is not None:
        write_atomically(chosen.json.absolute(), report)
    if chosen.junit is not None:
        write_atomically(chosen.junit.absolute(), junit)
