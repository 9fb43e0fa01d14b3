"""`python -m deployments.schema`: bring the database of the Prefect server up to this image's version, or wait.

Every pod of a server does this before it begins. They take turns, so that whoever comes first does the work and the
others find it done; a server never meets a schema older than itself. The database's address holds a password: it goes
by the environment and is never said.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from deployments.saying import complain, say
from tasks.adapters import daemons, process
from tasks.adapters.database_turns import DatabaseAway, turn_at
from tasks.adapters.process import Command, Ending
from tasks.core.outcome import ExitCode

_ADDRESS = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
_DATABASE_SECONDS = 300.0
_UPGRADE_SECONDS = 1800.0


async def _main() -> int:
    address = os.environ.get(_ADDRESS, "")
    if not address.startswith("postgresql"):
        complain(f"{_ADDRESS} names no PostgreSQL database: a server of several pods needs one")
        return ExitCode.USAGE
    try:
        async with turn_at(address, wait_seconds=_DATABASE_SECONDS):
            trouble = await _upgrade(address)
    except DatabaseAway as away:
        complain(f"the schema was not looked at: {away}")
        return ExitCode.ERROR
    if trouble:
        complain(f"the schema was not brought up to date: {trouble}")
        return ExitCode.ERROR
    say("the schema is up to date")
    return ExitCode.PASSED


async def _upgrade(address: str) -> str:
    """Prefect's own migrations; what went wrong, if anything did."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}
    with tempfile.TemporaryDirectory(prefix="towpath-schema-") as folder:
        log = Path(folder, "log")
        done = await process.run(
            Command(
                argv=(sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"),
                directory=Path(folder),
                log=log,
                timeout_seconds=_UPGRADE_SECONDS,
                environment=settings,
            )
        )
        if done.ending is Ending.EXITED and done.exit_code == 0:
            return ""
        return (done.detail or daemons.last_line(log)).replace(address, "***") or str(done.ending)


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
