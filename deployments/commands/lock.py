"""`towpath lock`: keep every new change out of an environment, for instance during an incident."""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import TYPE_CHECKING

from deployments.delivery_arguments import add_environment_arguments
from deployments.saying import complain, say
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode

if TYPE_CHECKING:
    from tasks.adapters.grounds import Ground


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_environment_arguments(parser)
    parser.add_argument("--reason", required=True, help="why; shown to whoever is kept out")
    parser.add_argument("--by", default="", metavar="NAME", help="who (default: your login)")


def run(chosen: argparse.Namespace) -> int:
    from deployments.choosing import NotChosen, meet_cluster, named_ground
    from tasks.core.platform import PlatformTrouble
    from tasks.delivery.request import named

    try:
        meet_cluster(state_home(), chosen.cluster)
        ground = named_ground(state_home(), chosen.environment, chosen.target)
        return asyncio.run(_hold(ground, named(chosen.by), chosen.reason))
    except NotChosen as reason:
        complain(f"towpath lock: {reason}")
        return ExitCode.USAGE
    except PlatformTrouble as trouble:
        complain(f"towpath lock: {trouble}")
        return ExitCode.ERROR


async def _hold(ground: Ground, who: str, reason: str) -> int:
    from tasks.adapters.platforms.choosing import safekeeping_of
    from tasks.core.safekeeping import Hold

    lock = safekeeping_of(ground).lock

    if (hold := await lock.hold()) is not None:
        complain(f"towpath lock: {ground.environment} is held already by {hold}")
        return ExitCode.FAILED
    await lock.put_hold(Hold(who, reason, time.time()))
    say(f"{ground.target}/{ground.environment} takes no new change until towpath unlock {ground.environment}")
    if (holder := await lock.occupant()) is not None and holder.is_alive:
        say(f"under way and not stopped by this: {holder}")
    return ExitCode.PASSED
