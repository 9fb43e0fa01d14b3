"""`towpath down`: ends the local server, the worker and whatever they started."""

import argparse
import asyncio

from deployments.saying import say
from deployments.server import stop_all
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(chosen: argparse.Namespace) -> int:
    server, worker = asyncio.run(stop_all(state_home()))
    say(f"worker  {'stopped' if worker else 'did not run'}")
    say(f"server  {'stopped' if server else 'did not run'}")
    return ExitCode.PASSED
