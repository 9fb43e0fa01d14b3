"""`towpath reject`: take back the release that a run waits with, or a canary that is under way."""

import argparse

from deployments.delivery_arguments import add_answer_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_answer_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    from deployments.answering import give
    from tasks.core.approval import Decision

    return give(Decision.REJECT, chosen.run, by=chosen.by, reason=chosen.reason)
