"""`towpath replay`: past canaries judged again, by the rules they ran with or by others."""

import argparse
from collections.abc import Callable
from typing import Any

from deployments.delivery_arguments import add_target_argument
from deployments.saying import complain
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "environment", nargs="?", default="production", help="where the canaries ran (default: production)"
    )
    add_target_argument(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting under delivery.canary to try, for instance judge.alpha=0.01",
    )
    parser.add_argument(
        "--newest", type=int, default=50, metavar="COUNT", help="how many canaries, counted from the last"
    )
    parser.add_argument("--plain", action="store_true", help="one line per event instead of the live view")
    parser.set_defaults(json=None)


def run(chosen: argparse.Namespace) -> int:
    from deployments.choosing import NotChosen, chosen_ground
    from deployments.delivering import run_delivery

    try:
        ground = chosen_ground(state_home(), chosen.environment, chosen.target)
    except NotChosen as reason:
        complain(f"towpath replay: {reason}")
        return ExitCode.USAGE

    def flow() -> Callable[[], Any]:
        from flows.replay import replay

        return lambda: replay(
            ground.target, ground.environment, rules=chosen.set, newest=chosen.newest, return_state=True
        )

    return run_delivery("replay", chosen, flow)
