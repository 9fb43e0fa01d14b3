"""`towpath pr`: the checks of a pull request on a laptop, before or without a forge."""

import argparse
from typing import TYPE_CHECKING

from deployments.target_runs import add_report_arguments, run_over_target

if TYPE_CHECKING:
    from deployments.target_runs import Runner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", nargs="?", default=".", help="folder in a git work tree, or a git URL (default: here)"
    )
    parser.add_argument(
        "--base", default="main", metavar="REF", help="branch it goes to, whose towpath.toml decides (default: main)"
    )
    parser.add_argument("--ref", help="branch, tag or commit of its head; by default the last commit")
    parser.add_argument("--title", metavar="TEXT", help="its title; by default the subject of its only commit")
    add_report_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Exit code of the run."""
    code, _ = run_over_target("pr", chosen, _runner)
    return code


def _runner() -> "Runner":
    from deployments.flow_in_terminal import run_pr_checks

    return run_pr_checks
