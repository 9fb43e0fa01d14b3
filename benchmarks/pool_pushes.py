"""Signed deliveries of pushes, all sent at the same moment."""

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class Sent:
    """What was sent, by the keys that the runs of CI must have, and how long the answers took."""

    keys: tuple[str, ...]
    seconds: tuple[float, ...]


def send_all(door: str, secret: str, commits: list[str]) -> Sent:
    """Each commit as a push to a branch of its own; every one of them is accepted."""
    return asyncio.run(_sent(door, secret, commits))


async def _sent(door: str, secret: str, commits: list[str]) -> Sent:
    limits = httpx.Limits(max_connections=len(commits))
    async with httpx.AsyncClient(limits=limits, timeout=60.0, trust_env=False) as client:
        seconds = await asyncio.gather(*(_send(client, door, secret, commit) for commit in commits))
    return Sent(tuple(f"{_id_of(commit)}:ci" for commit in commits), tuple(seconds))


async def _send(client: httpx.AsyncClient, door: str, secret: str, commit: str) -> float:
    body = json.dumps(_payload(commit)).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Delivery": _id_of(commit),
        "X-GitHub-Event": "push",
        "X-Hub-Signature-256": f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}",
    }
    began = time.perf_counter()
    answer = await client.post(f"{door}/github", content=body, headers=headers)
    assert answer.status_code == 202, f"the door answered {answer.status_code}: {answer.text}"
    return time.perf_counter() - began


def _id_of(commit: str) -> str:
    return f"{commit[:8]}-0000-4000-8000-{commit[8:20]}"


def _payload(commit: str) -> dict[str, object]:
    address = "https://forge.test/acme/shop.git"
    return {
        "ref": f"refs/heads/topic-{commit[:8]}",
        "after": commit,
        "head_commit": {"id": commit, "message": "Change the store"},
        "repository": {"full_name": "acme/shop", "clone_url": address, "default_branch": "main"},
        "sender": {"login": "ada", "type": "User"},
    }
