"""`towpath security`: every scanner over a target, one list of findings, one gate."""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.saying import say
from deployments.target_runs import add_run_arguments, add_target_arguments, run_over_target
from tasks.adapters.daily_targets import set_daily
from tasks.adapters.git import mask
from tasks.adapters.state import state_home, write_atomically
from tasks.core.outcome import ExitCode

if TYPE_CHECKING:
    from deployments.target_runs import Runner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_target_arguments(parser)
    parser.add_argument(
        "--base", metavar="REF", help="tell new findings from those this revision has; it is scanned or recalled"
    )
    parser.add_argument(
        "--block-on",
        choices=["critical", "high", "medium", "low", "none"],
        help="least severity that blocks; none means any finding (default: security.block_on, critical)",
    )
    parser.add_argument(
        "--production", action="store_true", help="also scan what runs in each environment, by its release record"
    )
    daily = parser.add_mutually_exclusive_group()
    daily.add_argument("--daily", action="store_true", help="from now on scan it every night too (towpath up)")
    daily.add_argument("--no-daily", action="store_true", help="no longer scan it every night; scan nothing now")
    parser.add_argument("--no-cache", action="store_true", help="run every scanner, also on unchanged inputs")
    add_run_arguments(parser)
    parser.add_argument(
        "--sarif",
        type=Path,
        metavar="FILE",
        help="write the findings as SARIF 2.1.0, in parts of the size GitHub takes",
    )


def run(chosen: argparse.Namespace) -> int:
    """Exit code of the run."""
    if chosen.daily or chosen.no_daily:
        _set_daily(chosen)
    if chosen.no_daily:
        return ExitCode.PASSED
    code, ended = run_over_target("security", chosen, _runner, also=(chosen.sarif,))
    if chosen.sarif is not None and ended is not None and ended.report is not None:
        _write_sarif(chosen.sarif.absolute(), Path(ended.report.folder))
    return code


def _set_daily(chosen: argparse.Namespace) -> None:
    target = str(Path(chosen.target).resolve()) if Path(chosen.target).is_dir() else chosen.target
    asyncio.run(set_daily(state_home(), target, is_daily=chosen.daily))
    nightly = "is scanned every night at 03:17, as long as towpath up runs"
    say(f"{mask(target)} {nightly if chosen.daily else 'is no longer scanned every night'}")


def _runner() -> "Runner":
    from deployments.flow_in_terminal import run_security

    return run_security


def _write_sarif(file: Path, folder: Path) -> None:
    """The first part under the name that was asked for, further ones beside it with their number."""
    for number, part in enumerate(sorted(folder.glob("findings*.sarif")), start=1):
        name = file if number == 1 else file.with_name(f"{file.stem}.{number}{file.suffix}")
        write_atomically(name, part.read_bytes())
