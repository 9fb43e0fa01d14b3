"""`towpath canary`: try a release on a share of production's traffic, judged at every scrape."""

import argparse
from collections.abc import Callable
from typing import Any

from deployments.delivery_arguments import add_request_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ref", help="branch, tag or commit; by default what is checked out")
    add_request_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    from deployments.delivering import request_words, run_delivery

    def flow() -> Callable[[], Any]:
        from deployments.flow_in_terminal import placed
        from flows.canary import canary

        return lambda: canary(
            placed(chosen.target),
            ref=chosen.ref,
            **request_words(chosen),
        )

    return run_delivery("canary", chosen, flow)
