"""The two processes that keep the local platform while no flow runs: the supervisor and the guard.

They start each other again when one of them dies, so that neither a crash nor kill -9 leaves an environment without
both; only `stop_keepers` ends them for good.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from tasks.adapters import daemons
from tasks.adapters.daemons import Daemon
from tasks.adapters.locks import locked, wait_for_lock
from tasks.adapters.process import Need, clean_environment

# Modules, started as programs of their own: what they are is none of this room's business.
_PROGRAMS = {"supervisor": "tasks.adapters.platforms.local", "guard": "deployments.guard"}

_HANDED_ON = ("TOWPATH_NOTIFY_URL", "PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING")


def _folder(state: Path) -> Path:
    return state / "keepers"


def keeper(state: Path, name: str) -> Daemon | None:
    """The keeper of this name, if it lives."""
    return daemons.recorded(_folder(state) / f"{name}.json")


def keeper_log(state: Path, name: str) -> Path:
    return _folder(state) / f"{name}.log"


async def start_keepers(state: Path) -> tuple[str, ...]:
    """Have both run; the names of those that had to be started."""
    folder = _folder(state)
    async with wait_for_lock(folder / "lock"):
        (folder / "closed").unlink(missing_ok=True)
        return _start_missing(state, tuple(_PROGRAMS))


def revive(state: Path, name: str) -> bool:
    """Start one keeper again if it died and the keepers were not stopped; for the other keeper to call."""
    folder = _folder(state)
    if (folder / "closed").exists() or keeper(state, name) is not None or not folder.is_dir():
        return False
    with suppress(BlockingIOError), locked(folder / "lock"):
        return not (folder / "closed").exists() and bool(_start_missing(state, (name,)))
    return False


def _start_missing(state: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    missing = tuple(name for name in names if keeper(state, name) is None)
    for name in missing:
        daemons.start(
            (sys.executable, "-m", _PROGRAMS[name]),
            record=_folder(state) / f"{name}.json",
            log=keeper_log(state, name),
            directory=_folder(state),
            environment=_environment(state),
            url="",
            facts={},
        )
    return missing


def _environment(state: Path) -> dict[str, str]:
    """No token but Prefect's: what a release needs beyond this is in its own configuration."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    own = {"TOWPATH_HOME": str(state), "PATH": path, "PYTHONUNBUFFERED": "1"}
    # NOTE: the guard tells people and Prefect; what it needs for that is given to no release's instance.
    own |= {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    # NOTE: the server of this home may have another port tomorrow, and is looked for where its record is.
    if own.get("PREFECT_API_URL") == _own_server(state):
        del own["PREFECT_API_URL"]
    return clean_environment(needs=frozenset({Need.NETWORK}), extras=own)


def _own_server(state: Path) -> str:
    try:
        return str(json.loads((state / "server" / "server.json").read_bytes())["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


async def stop_keepers(state: Path) -> tuple[str, ...]:
    """End the supervisor with all it runs, then the guard; neither brings the other back. Who was alive."""
    folder = _folder(state)
    if not folder.is_dir():
        return ()
    async with wait_for_lock(folder / "lock"):
        (folder / "closed").touch()
        # NOTE: in this order, since whichever started the other is its parent and would take it along ungently.
        return tuple([name for name in ("supervisor", "guard") if await daemons.stop(folder / f"{name}.json")])
