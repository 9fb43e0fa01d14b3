"""The door among what `towpath up` keeps in the background: opened when this home has a door.toml, closed by `down`.

It gets its own secrets, what it needs to reach Prefect and GitHub, and no other token.
"""

import asyncio
import os
import sys
from pathlib import Path

from deployments.server import ROOT
from tasks.adapters import daemons
from tasks.adapters.daemons import Daemon
from tasks.adapters.locks import wait_for_lock
from tasks.adapters.process import Need, clean_environment
from tasks.core.door_settings import SECRETS_VARIABLE

_START_SECONDS = 30.0
_POLL_SECONDS = 0.1
_HANDED_ON = (
    SECRETS_VARIABLE,
    *("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"),
    *("GITHUB_TOKEN", "GITHUB_API_URL", "TOWPATH_GITHUB_APP_ID", "TOWPATH_GITHUB_APP_KEY"),
)


class DoorStaysShut(Exception):
    """The door was wanted and is not open; the text is one line."""


def _record(state: Path) -> Path:
    return state / "door" / "door.json"


def door_log(state: Path) -> Path:
    return state / "door" / "door.log"


def is_wanted(state: Path) -> bool:
    return (state / "door.toml").exists()


def open_door(state: Path) -> Daemon | None:
    """The door that runs in the background, if one does."""
    return daemons.recorded(_record(state))


async def start_door(state: Path, *, host: str, port: int) -> Daemon:
    """Have the door open, by a process of its own. Raises DoorStaysShut."""
    async with wait_for_lock(state / "door" / "starting"):
        if running := open_door(state):
            return running
        door = daemons.start(
            (sys.executable, "-m", "deployments.cli", "webhook", "--host", host, "--port", str(port)),
            record=_record(state),
            log=door_log(state),
            directory=ROOT,
            environment=_environment(state),
            url=f"http://{f'[{host}]' if ':' in host else host}:{port}",
            facts={},
        )
        for _ in range(int(_START_SECONDS / _POLL_SECONDS)):
            if await daemons.answers(f"{door.url}/healthz"):
                return door
            if not daemons.is_alive(door):
                break
            await asyncio.sleep(_POLL_SECONDS)
        said = daemons.last_line(door_log(state))
        await daemons.stop(_record(state))
        raise DoorStaysShut(f"the webhook door did not open ({said}): see {door_log(state)}")


async def stop_door(state: Path) -> bool:
    """Close it; whether it was open."""
    return await daemons.stop(_record(state))


def _environment(state: Path) -> dict[str, str]:
    own = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    own |= {"TOWPATH_HOME": str(state), "PATH": path, "PYTHONUNBUFFERED": "1"}
    return clean_environment(needs=frozenset({Need.NETWORK}), extras=own)
