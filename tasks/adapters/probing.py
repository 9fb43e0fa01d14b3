"""Asking a running environment over HTTP, as its users would."""

import time
from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class Answered:
    """What came back: the status, 0 when nothing did, and then why in `trouble`."""

    status: int
    seconds: float
    trouble: str = ""


async def ask(url: str, *, timeout_seconds: float = 5.0) -> Answered:
    """One GET, past every proxy, since environments of the local platform are on this machine."""
    began = time.monotonic()
    try:
        async with httpx.AsyncClient(timeout=timeout_seconds, trust_env=False) as client:
            answer = await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as failure:
        return Answered(0, time.monotonic() - began, str(failure) or type(failure).__name__)
    return Answered(answer.status_code, time.monotonic() - began)
