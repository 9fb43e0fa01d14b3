"""`towpath approve`: let through the release that a run waits with."""

import argparse
import asyncio

from deployments.answering import answer
from deployments.saying import complain, say
from tasks.adapters.state import state_home
from tasks.core.approval import Decision
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="the run's id, or its beginning; towpath status lists those that wait")
    parser.add_argument("--by", required=True, metavar="NAME", help="your name; recorded as claimed, not proved")
    parser.add_argument("--reason", default="", help="why")
    parser.add_argument("--digest", help="refuse unless it is this release (default: the one that waits)")


def run(chosen: argparse.Namespace) -> int:
    return give(Decision.APPROVE, chosen)


def give(decision: Decision, chosen: argparse.Namespace) -> int:
    """Hand the answer over, and say what became of it."""
    digest = getattr(chosen, "digest", None)
    done = asyncio.run(answer(state_home(), chosen.run, decision, by=chosen.by, reason=chosen.reason, digest=digest))
    (say if done.exit_code is ExitCode.PASSED else complain)(done.said)
    return done.exit_code
