"""Telling people by the addresses they chose: one POST to an http address, Apprise for everything else.

An address may hold a secret, so it comes from the environment and is never shown, not even in an error.
"""

import asyncio
import logging
import os
from collections.abc import Mapping
from hashlib import sha256

import httpx


class NotTold(Exception):
    """An address did not take the message; the text says why, without the address."""


def addresses_in(variable: str, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The addresses a variable names, each under a name that does not tell it."""
    return {sha256(address.encode()).hexdigest()[:12]: address for address in base.get(variable, "").split()}


async def tell_people(
    message: str,
    facts: Mapping[str, str],
    *,
    variable: str,
    timeout_seconds: float,
    base: Mapping[str, str] = os.environ,
) -> str:
    """Send it to every address; what became of it. Raises NotTold. `text` is what chat services show."""
    found = addresses_in(variable, base)
    if not found:
        return f"nobody was told: {variable} is not set"
    said = [
        await tell_address(address, message, facts, variable=variable, timeout_seconds=timeout_seconds)
        for address in found.values()
    ]
    return "; ".join(said)


async def tell_address(
    address: str, message: str, facts: Mapping[str, str], *, variable: str, timeout_seconds: float
) -> str:
    """Send it to one address. Raises NotTold."""
    if address.startswith(("http://", "https://")):
        return await _post(address, message, facts, variable=variable, timeout_seconds=timeout_seconds)
    return await _by_apprise(address, message, variable=variable, timeout_seconds=timeout_seconds)


async def _post(address: str, message: str, facts: Mapping[str, str], *, variable: str, timeout_seconds: float) -> str:
    try:
        async with httpx.AsyncClient(timeout=timeout_seconds) as client:
            answer = await client.post(address, json={"text": message, **facts})
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as failure:
        raise NotTold(f"the address in {variable} did not answer ({type(failure).__name__})") from None
    if answer.is_error:
        raise NotTold(f"the address in {variable} answered {answer.status_code}")
    return f"told, answer {answer.status_code}"


async def _by_apprise(address: str, message: str, *, variable: str, timeout_seconds: float) -> str:
    # NOTE: not at the top: it knows a hundred services and takes a fifth of a second.
    from apprise import Apprise, AppriseAsset

    # NOTE: what it logs names the service's host, and may name more.
    logging.getLogger("apprise").disabled = True
    kind = address.partition(":")[0] if "://" in address else "no address"
    service = Apprise(asset=AppriseAsset(app_id="Towpath", secure_logging=True))
    if not service.add(f"{address}{'&' if '?' in address else '?'}cto={timeout_seconds:g}&rto={timeout_seconds:g}"):
        raise NotTold(f"{variable} names an address that Apprise does not know ({kind}://...)")
    try:
        async with asyncio.timeout(timeout_seconds * 2):
            taken = await service.async_notify(body=message, title="")
    except (OSError, TypeError, ValueError) as failure:
        raise NotTold(f"the {kind} address in {variable} failed ({type(failure).__name__})") from None
    if not taken:
        raise NotTold(f"the {kind} address in {variable} did not take the message")
    return f"told by {kind}"
