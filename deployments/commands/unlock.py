"""`towpath unlock`: let changes into an environment again."""

import argparse
import asyncio
import time

from deployments.delivery_arguments import add_environment_arguments
from deployments.saying import complain, say
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_environment_arguments(parser)
    parser.add_argument("--reason", required=True, help="why it is over")
    parser.add_argument("--by", default="", metavar="NAME", help="who (default: your login)")


def run(chosen: argparse.Namespace) -> int:
    from deployments.choosing import NotChosen, meet_cluster, named_ground
    from tasks.adapters.platforms.choosing import safekeeping_of
    from tasks.core.platform import PlatformTrouble
    from tasks.core.safekeeping import Hold
    from tasks.delivery.request import named

    try:
        meet_cluster(state_home(), chosen.cluster)
        ground = named_ground(state_home(), chosen.environment, chosen.target)
        lifted = Hold(named(chosen.by), chosen.reason, time.time())
        hold = asyncio.run(safekeeping_of(ground).lock.lift_hold(lifted))
    except NotChosen as reason:
        complain(f"towpath unlock: {reason}")
        return ExitCode.USAGE
    except PlatformTrouble as trouble:
        complain(f"towpath unlock: {trouble}")
        return ExitCode.ERROR
    if hold is None:
        complain(f"towpath unlock: nobody holds {ground.environment}")
        return ExitCode.FAILED
    say(f"{ground.target}/{ground.environment} takes changes again; it was held by {hold}")
    return ExitCode.PASSED
