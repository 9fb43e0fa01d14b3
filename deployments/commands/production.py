"""`towpath production`: release a version tag to production, with approval, backup and a way back."""

import argparse
from collections.abc import Callable
from typing import Any

from deployments.delivery_arguments import add_request_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_request_arguments(parser)
    parser.add_argument("version", help="a version tag, for instance v1.4.0")


def run(chosen: argparse.Namespace) -> int:
    from deployments.delivering import request_words, run_delivery

    def flow() -> Callable[[], Any]:
        from deployments.flow_in_terminal import placed
        from flows.production import production

        return lambda: production(
            placed(chosen.target),
            chosen.version,
            **request_words(chosen),
        )

    return run_delivery("production", chosen, flow)
