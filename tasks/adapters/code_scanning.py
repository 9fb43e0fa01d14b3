"""Handing SARIF to GitHub's Security tab by its code-scanning API, and looking whether GitHub took it.

The contract is docs.github.com/rest/code-scanning: an upload is accepted (202) long before it is processed, and one
whose processing failed shows nothing, so that only `complete` counts. The token is never shown.
"""

import asyncio
import base64
import gzip
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

_ANSWER_SECONDS = 30.0
_PROCESSING_SECONDS = 300.0
_POLL_SECONDS = 3.0
_REFUSALS = {
    400: "the SARIF is not valid",
    403: "the token may not write security events, or code scanning is switched off for this repository",
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

    api: str
    repository: str
    commit: str
    ref: str
    token: str = field(repr=False)


Pause = Callable[[float], Awaitable[None]]


async def upload_sarif(tab: SecurityTab, sarif: str, *, tool: str, pause: Pause = asyncio.sleep) -> str:
    """Upload one file and wait until it is processed; returns its id. Raises UploadRefused, UploadLater."""
    headers = {
        "Authorization": f"Bearer {tab.token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    address = f"{tab.api.rstrip('/')}/repos/{tab.repository}/code-scanning/sarifs"
    packed = base64.b64encode(gzip.compress(sarif.encode(), mtime=0)).decode()
    body = {"commit_sha": tab.commit, "ref": tab.ref, "sarif": packed, "tool_name": tool}
    async with httpx.AsyncClient(headers=headers, timeout=_ANSWER_SECONDS) as client:
        answer = await _asked(client, "POST", address, body)
        upload = _field(answer, "id")
        await _until_processed(client, f"{address}/{upload}", pause)
    return upload


async def _asked(client: httpx.AsyncClient, method: str, address: str, body: dict[str, str] | None) -> httpx.Response:
    try:
        answer = await client.request(method, address, json=body)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as failure:
        raise UploadLater(f"GitHub did not answer ({type(failure).__name__})") from None
    if answer.status_code in (429, 500, 502, 503, 504) or "retry-after" in answer.headers:
        raise UploadLater(f"GitHub answered {answer.status_code}: try again later")
    if answer.is_error:
        why = _REFUSALS.get(answer.status_code, "it said no more")
        raise UploadRefused(f"GitHub answered {answer.status_code}: {why}")
    return answer


def _field(answer: httpx.Response, name: str) -> str:
    try:
        return str(answer.json()[name])
    except (ValueError, KeyError, TypeError) as broken:
        raise UploadLater(f"GitHub's answer has no {name}") from broken


async def _until_processed(client: httpx.AsyncClient, address: str, pause: Pause) -> None:
    deadline = time.monotonic() + _PROCESSING_SECONDS
    while time.monotonic() < deadline:
        answer = await _asked(client, "GET", address, None)
        match _field(answer, "processing_status"):
            case "complete":
                return
            case "failed":
                errors = "; ".join(map(str, answer.json().get("errors") or ())) or "it said no more"
                raise UploadRefused(f"GitHub could not process the SARIF: {errors}")
            case _:
                await pause(_POLL_SECONDS)
    raise UploadLater(f"GitHub has not processed the SARIF within {_PROCESSING_SECONDS:.0f} s")
