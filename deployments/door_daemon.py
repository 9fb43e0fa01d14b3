"""The door among what `towpath up` keeps in the background: opened when this home has a door.toml, closed by `down`.

It gets its own secrets, what it needs to reach Prefect and GitHub, and no other token. A keeper of its own opens it
again when it dies.
"""

import asyncio
import os
import sys
from pathlib import Path

from deployments.door_keeper import closed_mark, door_log, kept_mark, serving_record
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


def is_wanted(state: Path) -> bool:
    return (state / "door.toml").exists()


def open_door(state: Path) -> Daemon | None:
    """The door that runs in the background, if one does."""
    return daemons.recorded(serving_record(state))


def door_keeper(state: Path) -> Daemon | None:
    """Who opens it again when it dies."""
    return daemons.recorded(_record(state))


def describe_door(state: Path) -> str:
    """How it stands, with what to do where it should stand better."""
    door, keeper = open_door(state), door_keeper(state)
    if door is not None:
        alone = "" if keeper else ", and nobody would open it again: towpath up"
        return f"{door.url} runs as {door.pid}{alone}"
    if keeper is not None:
        return f"its process is gone and it is being opened again; log: {door_log(state)}"
    return f"does not run: towpath up; log: {door_log(state)}"


async def start_door(state: Path, *, host: str, port: int) -> Daemon:
    """Have the door open and kept, by processes of its own. Raises DoorStaysShut."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    async with wait_for_lock(state / "door" / "starting"):
        closed_mark(state).unlink(missing_ok=True)
        keeper = door_keeper(state) or _started_keeper(state, url, host, port)
        for _ in range(int(_START_SECONDS / _POLL_SECONDS)):
            door = open_door(state)
            # NOTE: not by its answer to us alone: a keeper that has seen none would not open it again.
            if door is not None and kept_mark(state).exists() and await daemons.answers(f"{door.url}/healthz"):
                return door
            if not daemons.is_alive(keeper):
                break
            await asyncio.sleep(_POLL_SECONDS)
        said = daemons.last_line(door_log(state))
        await _close(state)
        raise DoorStaysShut(f"the webhook door did not open ({said}): see {door_log(state)}")


def _started_keeper(state: Path, url: str, host: str, port: int) -> Daemon:
    kept_mark(state).unlink(missing_ok=True)
    return daemons.start(
        (sys.executable, "-m", "deployments.door_keeper", "--host", host, "--port", str(port), "--url", url),
        record=_record(state),
        log=door_log(state),
        directory=ROOT,
        environment=_environment(state),
        url=url,
        facts={},
    )


async def stop_door(state: Path) -> bool:
    """Close it; whether it was open."""
    if not _record(state).parent.is_dir():
        return False
    return await _close(state)


async def _close(state: Path) -> bool:
    """First that it stays shut, then the door, which ends what it began, then its keeper."""
    closed_mark(state).touch()
    was_open = await daemons.stop(serving_record(state))
    return await daemons.stop(_record(state)) or was_open


def _environment(state: Path) -> dict[str, str]:
    own = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    own |= {"TOWPATH_HOME": str(state), "PATH": path, "PYTHONUNBUFFERED": "1"}
    return clean_environment(needs=frozenset({Need.NETWORK}), extras=own)
