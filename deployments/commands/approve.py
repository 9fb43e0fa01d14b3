"""`towpath approve`: let through the release that a run waits with."""

import argparse

from deployments.delivery_arguments import add_answer_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_answer_arguments(parser)
    parser.add_argument("--digest", help="refuse unless it is this release (default: the one that waits)")


def run(chosen: argparse.Namespace) -> int:
    from deployments.answering import give
    from tasks.core.approval import Decision

    return give(Decision.APPROVE, chosen.run, by=chosen.by, reason=chosen.reason, digest=chosen.digest)
