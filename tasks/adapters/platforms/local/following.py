"""Asking an environment's router what it follows, and waiting until it follows what was written.

A file that was written is not yet a share that is in force; nobody may be told that a canary gets no traffic before
the router says so itself.
"""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress

from tasks.adapters.plain_http import Unanswered, get
from tasks.core.weighted_routes import MARKER, Followed, followed

FOLLOW_SECONDS = 5.0
_POLL_SECONDS = 0.02
_ASK_SECONDS = 1.0


async def what_is_followed(private_port: int) -> Followed | None:
    """What the router follows now; None when it does not answer or follows nothing of ours yet."""
    with suppress(Unanswered, ValueError):
        status, body = await get(
            f"http://127.0.0.1:{private_port}/api/http/middlewares/{MARKER}@file", seconds=_ASK_SECONDS
        )
        return followed(json.loads(body)) if status == 200 else None
    return None


async def wait_until_followed(
    private_port: Callable[[], int], is_enough: Callable[[Followed], bool], *, seconds: float = FOLLOW_SECONDS
) -> bool:
    """Whether the router came to follow it in time. The port is asked for anew each time: the router may restart."""
    deadline = time.monotonic() + seconds
    while True:
        port = private_port()
        answer = await what_is_followed(port) if port else None
        if answer is not None and is_enough(answer):
            return True
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
