"""`towpath up`: the local Prefect server, a worker, the platform's supervisor and the guard, in the background.

With a door.toml in this home, the webhook door too.
"""

import argparse
import asyncio
import os
from pathlib import Path

from deployments.saying import complain, say
from deployments.server import ServerUnavailable, ensure_server, start_worker
from tasks.adapters.keepers import start_keepers
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode

_DATABASE = "TOWPATH_DATABASE_URL"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database",
        default=None,
        metavar="URL",
        help="postgresql+asyncpg://... for a server that several share; by default SQLite; "
        f"also taken from ${_DATABASE}, which keeps a password out of the process list",
    )


def run(chosen: argparse.Namespace) -> int:
    try:
        return asyncio.run(_up(chosen.database or os.environ.get(_DATABASE)))
    except ServerUnavailable as unavailable:
        complain(f"towpath up: {unavailable}")
        return ExitCode.ERROR


async def _open_door(state: Path) -> None:
    """Only where this home has a door.toml, which nobody writes by accident. Raises ServerUnavailable."""
    from deployments.door_daemon import DoorStaysShut, is_wanted, start_door
    from tasks.adapters.door_configuration import read_door_toml
    from tasks.core.door_settings import DoorRefused

    if not is_wanted(state):
        return
    try:
        settings = read_door_toml(state)
        door = await start_door(state, host=settings.host, port=settings.port)
    except (DoorStaysShut, DoorRefused) as shut:
        raise ServerUnavailable(str(shut)) from shut
    say(f"door    {door.url}/github")


async def _up(database: str | None) -> int:
    state = state_home()
    for name in await start_keepers(state):
        say(f"{name}  started")
    address = await ensure_server(state, database=database, on_progress=say)
    say(f"server  {address.ui_url}")
    say("worker  starting, it serves every deployment in prefect.yaml")
    await start_worker(state, address)
    await _open_door(state)
    say("worker  runs; start a run in the UI or by `towpath ci PATH`, stop all by `towpath down`")
    return ExitCode.PASSED
