"""`towpath unlock`: let changes into an environment again."""

import argparse

from deployments.delivery_arguments import add_environment_arguments
from deployments.saying import complain, say
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_environment_arguments(parser)
    parser.add_argument("--reason", required=True, help="why it is over")
    parser.add_argument("--by", default="", metavar="NAME", help="who (default: your login)")


def run(chosen: argparse.Namespace) -> int:
    from deployments.choosing import NotChosen, named_ground
    from tasks.adapters.permits import lift_hold
    from tasks.core.platform import PlatformTrouble
    from tasks.delivery.request import named

    try:
        ground = named_ground(state_home(), chosen.environment, chosen.target)
    except NotChosen as reason:
        complain(f"towpath unlock: {reason}")
        return ExitCode.USAGE
    try:
        hold = lift_hold(ground.folder, who=named(chosen.by), reason=chosen.reason)
    except PlatformTrouble as trouble:
        complain(f"towpath unlock: {trouble}")
        return ExitCode.ERROR
    if hold is None:
        complain(f"towpath unlock: nobody holds {ground.environment}")
        return ExitCode.FAILED
    say(f"{ground.target}/{ground.environment} takes changes again; it was held by {hold}")
    return ExitCode.PASSED
