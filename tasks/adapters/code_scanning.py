"""Handing SARIF to GitHub's Security tab by its code-scanning API, and looking whether GitHub took it.

The contract is docs.github.com/rest/code-scanning: an upload is accepted (202) long before it is processed, and one
whose processing failed shows nothing, so that only `complete` counts. Who asks is who asks GitHub for everything
else: a token or an App, neither of which is ever shown.
"""

import asyncio
import base64
import gzip
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tasks.adapters.github_access import Access, Connection, ForgeRefusal, connected
from tasks.core.forge.words import ForgeLater, ForgeRefused

_PROCESSING_SECONDS = 300.0
_POLL_SECONDS = 3.0
_REFUSALS = {
    400: "the SARIF is not valid",
    403: "whoever asks may not write security events, or code scanning is switched off for this repository",
    404: "there is no such repository, or the token may not see it",
    413: "the SARIF is too large",
    422: "the commit or ref is not known there: push it first",
}


class UploadRefused(Exception):
    """GitHub will not take it, however often it is tried; the text is one line with what to do."""


class UploadLater(Exception):
    """GitHub could not take it now."""


@dataclass(frozen=True, kw_only=True)
class SecurityTab:
    """Where the findings of one revision go: `repository` is owner/name, `ref` like refs/heads/main."""

    access: Access
    repository: str
    commit: str
    ref: str


Pause = Callable[[float], Awaitable[None]]


async def upload_sarif(tab: SecurityTab, sarif: str, *, tool: str, pause: Pause = asyncio.sleep) -> str:
    """Upload one file and wait until it is processed; returns its id. Raises UploadRefused, UploadLater."""
    path = f"/repos/{tab.repository}/code-scanning/sarifs"
    packed = base64.b64encode(gzip.compress(sarif.encode(), mtime=0)).decode()
    body = {"commit_sha": tab.commit, "ref": tab.ref, "sarif": packed, "tool_name": tool}
    try:
        async with connected(tab.access, tab.repository) as connection:
            upload = _field(await connection.ask("POST", path, body=body), "id")
            await _until_processed(connection, f"{path}/{upload}", pause)
    except ForgeLater as later:
        raise UploadLater(f"{later}: try again later") from later
    except ForgeRefusal as refused:
        why = _REFUSALS.get(refused.status, "it said no more")
        raise UploadRefused(f"GitHub answered {refused.status}: {why}") from refused
    except ForgeRefused as refused:
        raise UploadRefused(str(refused)) from refused
    return upload


def _field(answer: Any, name: str) -> str:
    try:
        return str(answer[name])
    except (KeyError, TypeError) as broken:
        raise UploadLater(f"GitHub's answer has no {name}") from broken


async def _until_processed(connection: Connection, path: str, pause: Pause) -> None:
    deadline = time.monotonic() + _PROCESSING_SECONDS
    while time.monotonic() < deadline:
        answer = await connection.ask("GET", path)
        match _field(answer, "processing_status"):
            case "complete":
                return
            case "failed":
                errors = "; ".join(map(str, answer.get("errors") or ())) or "it said no more"
                raise UploadRefused(f"GitHub could not process the SARIF: {errors}")
            case _:
                await pause(_POLL_SECONDS)
    raise UploadLater(f"GitHub has not processed the SARIF within {_PROCESSING_SECONDS:.0f} s")
