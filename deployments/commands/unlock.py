"""`towpath unlock`: let changes into an environment again."""

import argparse

from deployments.delivery_arguments import add_environment_arguments
from deployments.saying import complain, say
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_environment_arguments(parser)
    parser.add_argument("--reason", required=True, help="why it is over")


def run(chosen: argparse.Namespace) -> int:
    from deployments.choosing import NotChosen, named_ground
    from tasks.adapters.permits import lift_hold

    try:
        ground = named_ground(state_home(), chosen.environment, chosen.target)
    except NotChosen as reason:
        complain(f"towpath unlock: {reason}")
        return ExitCode.USAGE
    hold = lift_hold(ground.folder)
    if hold is None:
        complain(f"towpath unlock: nobody holds {ground.environment}")
        return ExitCode.FAILED
    say(f"{ground.target}/{ground.environment} takes changes again; it was held by {hold}")
    return ExitCode.PASSED
