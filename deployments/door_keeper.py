"""`python -m deployments.door_keeper`: opens the webhook door again whenever its process dies.

It solves that GitHub does not try again: deliveries that nobody takes are lost until somebody redelivers them. It holds
the door's secrets, as the door does, since whoever opens it must hand them on. A door that never opened (a port in use,
a missing secret) is not tried again: whoever asked for it is told instead.
"""

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

from deployments.saying import say
from deployments.server import ROOT
from tasks.adapters import daemons
from tasks.adapters.daemons import Daemon
from tasks.adapters.state import state_home

_POLL_SECONDS = 0.2
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 30.0
_STEADY_SECONDS = 60.0


def serving_record(state: Path) -> Path:
    return state / "door" / "serving.json"


def door_log(state: Path) -> Path:
    return state / "door" / "door.log"


def closed_mark(state: Path) -> Path:
    """There while the door is meant to stay shut."""
    return state / "door" / "closed"


def kept_mark(state: Path) -> Path:
    """There once the keeper has seen the door open: one that dies from then on is opened again."""
    return state / "door" / "kept"


async def keep(state: Path, url: str, argv: tuple[str, ...]) -> int:
    """Until the door is closed on purpose, or at once when it does not open at all; the exit code."""
    wait, has_answered = _FIRST_WAIT_SECONDS, False
    while not closed_mark(state).exists():
        began = time.monotonic()
        # NOTE: a door that outlived its last keeper goes on; two could not have one port.
        door = daemons.recorded(serving_record(state)) or _opened(state, url, argv)
        has_answered = await _until_it_dies(door, f"{url}/healthz", kept_mark(state)) or has_answered
        if not has_answered:
            return 1
        if closed_mark(state).exists():
            break
        wait = _FIRST_WAIT_SECONDS if time.monotonic() - began >= _STEADY_SECONDS else wait
        say(f"the door's process {door.pid} is gone; it is opened again in {wait:g} s")
        await asyncio.sleep(wait)
        wait = min(_LONGEST_WAIT_SECONDS, 2 * wait)
    return 0


def _opened(state: Path, url: str, argv: tuple[str, ...]) -> Daemon:
    return daemons.start(
        argv,
        record=serving_record(state),
        log=door_log(state),
        directory=ROOT,
        environment=dict(os.environ),
        url=url,
        facts={},
    )


async def _until_it_dies(door: Daemon, health: str, mark: Path) -> bool:
    """Whether it has ever answered, for which the mark is made."""
    has_answered = False
    while daemons.is_alive(door):
        if not has_answered and await daemons.answers(health):
            has_answered = True
            mark.touch()
        # NOTE: nobody tells of the end of a process that is another's child.
        await asyncio.sleep(_POLL_SECONDS)
    return has_answered


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True)
    parser.add_argument("--url", required=True)
    chosen = parser.parse_args()
    argv = (sys.executable, "-m", "deployments.cli", "webhook", "--host", chosen.host, "--port", chosen.port)
    return asyncio.run(keep(state_home(), chosen.url, argv))


if __name__ == "__main__":
    sys.exit(main())
