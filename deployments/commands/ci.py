"""`towpath ci`: the CI flow in this process, watched in a live table."""

import argparse
import asyncio
import os
from pathlib import Path

from deployments.leaving import QuickExit, without_collections
from deployments.saying import complain, say
from deployments.server import ServerUnavailable, ensure_server
from tasks.adapters.state import state_home, write_atomically
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", nargs="?", default=".", help="folder in a git work tree, or a git URL (default: here)"
    )
    parser.add_argument(
        "--ref", help="branch, tag or commit; by default the work tree as it is, uncommitted changes too"
    )
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first check that blocks")
    parser.add_argument("--no-cache", action="store_true", help="run every check, also on unchanged inputs")
    parser.add_argument(
        "--allow-missing",
        action="append",
        default=[],
        choices=["docker"],
        help="skip, with a reason, the checks that need this where it is absent; otherwise they are errors",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting over towpath.toml's")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the full report; its form is docs/report.md")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the report as JUnit XML")
    parser.add_argument("--plain", action="store_true", help="one line per event instead of the live table")


def run(chosen: argparse.Namespace) -> int:
    """Exit code of the run. The server is looked for before Prefect is imported, since its address must be known."""
    for path in (chosen.json, chosen.junit):
        if path is not None and not path.absolute().parent.is_dir():
            complain(f"towpath ci: {path.parent} is no folder: make it first")
            return ExitCode.USAGE
    state = state_home()
    try:
        address = asyncio.run(ensure_server(state, on_progress=say))
    except ServerUnavailable as unavailable:
        complain(f"towpath ci: {unavailable}")
        return ExitCode.ERROR
    os.environ.update(prefect_environment(state, address.api_url))
    leave = QuickExit()
    with without_collections():
        from deployments.flow_in_terminal import run_ci

    ended = run_ci(chosen, state)
    if ended.report is not None:
        _write_reports(chosen, ended.report.model_dump_json(indent=2) + "\n", ended.junit())
    leave.code = ended.exit_code
    if ended.is_server_gone:
        leave.leave_now()
    return ended.exit_code


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
