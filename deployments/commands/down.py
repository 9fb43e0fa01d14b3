"""`towpath down`: ends the server, the worker, the guard and the supervisor, and whatever they started."""

import argparse
import asyncio

from deployments.saying import complain, say
from deployments.server import stop_all
from tasks.adapters.keepers import stop_keepers
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(chosen: argparse.Namespace) -> int:
    from deployments.door_daemon import stop_door
    from deployments.guard import take_back_everything
    from tasks.adapters.platforms.local.supervisor import end_strays
    from tasks.core.platform import PlatformTrouble

    state = state_home()
    for line in asyncio.run(take_back_everything(state)):
        say(line)
    was_open = asyncio.run(stop_door(state))
    server, worker = asyncio.run(stop_all(state))
    keepers = asyncio.run(stop_keepers(state))
    try:
        strays = asyncio.run(end_strays(state))
    except PlatformTrouble as trouble:
        complain(f"towpath down: {trouble}")
        return ExitCode.ERROR
    if was_open:
        say("door    closed")
    say(f"worker  {'stopped' if worker else 'did not run'}")
    say(f"server  {'stopped' if server else 'did not run'}")
    for name in ("guard", "supervisor"):
        say(f"{name}  {'stopped' if name in keepers else 'did not run'}")
    if strays:
        say(f"{strays} processes that nobody kept any more were ended")
    return ExitCode.PASSED
