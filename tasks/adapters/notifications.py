"""Telling people how a change of production ended, by one POST to an address they chose.

The address may hold a secret, so it comes from the environment and is never shown.
"""

import os
from collections.abc import Mapping

import httpx


class NotTold(Exception):
    """The address did not take the message; the text says why, without the address."""


async def tell_people(
    message: str,
    facts: Mapping[str, str],
    *,
    variable: str,
    timeout_seconds: float,
    base: Mapping[str, str] = os.environ,
) -> str:
    """Send it; the answer says what became of it. Raises NotTold. `text` is what chat services show."""
    url = base.get(variable, "")
    if not url:
        return f"nobody was told: {variable} is not set"
    try:
        async with httpx.AsyncClient(timeout=timeout_seconds) as client:
            answer = await client.post(url, json={"text": message, **facts})
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as failure:
        raise NotTold(f"the address in {variable} did not answer ({type(failure).__name__})") from None
    if answer.is_error:
        raise NotTold(f"the address in {variable} answered {answer.status_code}")
    return f"told, answer {answer.status_code}"
