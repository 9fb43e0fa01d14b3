"""`towpath reject`: take back the release that a run waits with, or a canary that is under way."""

import argparse

from deployments.commands.approve import give
from tasks.core.approval import Decision


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="the run's id, or its beginning; towpath status lists those that wait")
    parser.add_argument("--by", required=True, metavar="NAME", help="your name; recorded as claimed, not proved")
    parser.add_argument("--reason", default="", help="why")


def run(chosen: argparse.Namespace) -> int:
    return give(Decision.REJECT, chosen)
