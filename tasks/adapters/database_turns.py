"""One at a time on a PostgreSQL database, wherever the others run.

It solves that several pods begin at once and each would bring the schema up to date. The turn is the database's own
advisory lock, which ends with the connection, so that a pod that is killed leaves nothing to clean up. It must never
show the address, which holds a password.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

# Any number will do that nobody else takes in this database.
_TURN = 7_077_417
_POLL_SECONDS = 1.0


class DatabaseAway(Exception):
    """The database did not answer in time; the text is one line and names no password."""


@asynccontextmanager
async def turn_at(url: str, *, wait_seconds: float) -> AsyncIterator[None]:
    """Alone at the database until the context ends; waits for it to answer, and for the others. Raises DatabaseAway."""
    parts = urlsplit(url)
    connection = await _connected(urlunsplit(parts._replace(scheme=parts.scheme.partition("+")[0])), wait_seconds)
    try:
        # NOTE: not pg_advisory_lock, which would wait inside a transaction, and indexes that are built concurrently
        # wait for every transaction.
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _TURN):
            await asyncio.sleep(_POLL_SECONDS)
        yield
    finally:
        await connection.close()


async def _connected(url: str, wait_seconds: float) -> "asyncpg.Connection":
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return await asyncpg.connect(url, timeout=10)
        except (OSError, TimeoutError, asyncpg.PostgresError) as away:
            if time.monotonic() > deadline:
                place = urlsplit(url)
                raise DatabaseAway(
                    f"{place.hostname}:{place.port or 5432} did not let us in for {wait_seconds:g} s"
                    f" ({type(away).__name__}): look at the database's pod and its Secret"
                ) from away
            await asyncio.sleep(_POLL_SECONDS)
