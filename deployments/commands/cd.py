"""`towpath cd`: build a revision that has passed its gates and release it to staging."""

import argparse
from collections.abc import Callable
from typing import Any

from deployments.delivery_arguments import add_request_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ref", help="branch, tag or commit; by default what is checked out, which must be committed")
    add_request_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    from deployments.delivering import request_words, run_delivery

    def flow() -> Callable[[], Any]:
        from deployments.flow_in_terminal import placed
        from flows.cd import cd

        return lambda: cd(
            placed(chosen.target),
            ref=chosen.ref,
            **request_words(chosen),
        )

    return run_delivery("cd", chosen, flow)
