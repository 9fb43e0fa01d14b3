"""`towpath ci`: the CI flow in this process, watched in a live table."""

import argparse
from typing import TYPE_CHECKING

from deployments.target_runs import add_run_arguments, add_target_arguments, run_over_target

if TYPE_CHECKING:
    from deployments.target_runs import Runner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_target_arguments(parser)
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first check that blocks")
    parser.add_argument("--no-cache", action="store_true", help="run every check, also on unchanged inputs")
    add_run_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Exit code of the run."""
    return run_over_target("ci", chosen, _runner)[0]


def _runner() -> "Runner":
    from deployments.flow_in_terminal import run_ci

    return run_ci
