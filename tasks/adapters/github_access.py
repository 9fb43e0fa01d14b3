"""One request to GitHub's REST API at a time: who asks, and what an answer means for whoever asked.

It promises that every answer is JSON, ForgeLater or ForgeRefused, and that an answer which is cut off is a later, since
nobody knows what was done. It must never show a token or a key, and never follow an address that an answer names.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from githubkit import AppAuthStrategy, GitHub, TokenAuthStrategy
from githubkit.cache import MemCacheStrategy
from githubkit.exception import GitHubException, RequestError, RequestFailed

from tasks.core.forge.patience import retry_seconds
from tasks.core.forge.words import ForgeLater, ForgeRefused

_ANSWER_SECONDS = 30.0
_PER_PAGE = 100
# GitHub tells at most 3,000 files and 1,000 check runs.
_MOST_PAGES = 30
_SHOWING = ("checks", "statuses", "pull_requests", "issues")
_SEEING = ("metadata", "read")
_REFUSALS = {
    401: "the token is not valid, or has expired",
    403: "the token may not do this",
    404: "there is no such thing, or the token may not see it",
    409: "it conflicts with the state of the repository",
    410: "this is switched off for the repository",
    413: "it is too large",
    422: "GitHub says that it is not valid",
}


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who asks: a token, or a GitHub App by its id and private key (PEM)."""

    api: str
    token: str = field(default="", repr=False)
    app_id: str = ""
    app_key: str = field(default="", repr=False)


def access_of(api: str, base: Mapping[str, str] = os.environ) -> Access | None:
    """From TOWPATH_GITHUB_APP_ID and TOWPATH_GITHUB_APP_KEY (the key, or a file that holds it), else GITHUB_TOKEN.

    None where none of them is set. Raises ForgeRefused for a key that cannot be read.
    """
    app_id, key = base.get("TOWPATH_GITHUB_APP_ID", ""), base.get("TOWPATH_GITHUB_APP_KEY", "")
    if app_id and key:
        return Access(api=api, app_id=app_id, app_key=_key(key))
    token = base.get("GITHUB_TOKEN", "")
    return Access(api=api, token=token) if token else None


def _key(given: str) -> str:
    try:
        key = given if "PRIVATE KEY" in given else Path(given).read_text("utf-8")
        load_pem_private_key(key.encode(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as broken:
        raise ForgeRefused("TOWPATH_GITHUB_APP_KEY: neither a private key nor a file that holds one") from broken
    return key


class Connection:
    """Asks on behalf of one installation or token."""

    def __init__(self, hub: "GitHub[Any]") -> None:
        self._hub = hub

    async def ask(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> Any:
        """The answer's JSON, None where it has none. Raises ForgeLater, ForgeRefused."""
        return _json(await self._answer(method, path, body, query))

    async def ask_all(self, path: str, *, under: str = "", query: Mapping[str, str] | None = None) -> list[Any]:
        """The items of all pages; `under` is the key that holds them where the answer is an object."""
        found: list[Any] = []
        for page in range(1, _MOST_PAGES + 1):
            paged = {**(query or {}), "per_page": str(_PER_PAGE), "page": str(page)}
            answer = await self._answer("GET", path, None, paged)
            content = _json(answer)
            items = content.get(under) if under and isinstance(content, dict) else content
            if not isinstance(items, list):
                raise ForgeLater(f"GitHub's answer to {path} is not a list")
            found += items
            if "next" not in answer.links:
                break
        return found

    async def _answer(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, str] | None
    ) -> httpx.Response:
        try:
            done = await self._hub.arequest(method, path, json=body, params=dict(query) if query else None)
        except RequestFailed as failed:
            raise _told(failed.response.raw_response, path) from None
        except (RequestError, GitHubException, httpx.HTTPError) as failure:
            kind = type(failure.exc).__name__ if isinstance(failure, RequestError) else type(failure).__name__
            raise ForgeLater(f"GitHub did not answer ({kind})") from None
        return done.raw_response


def _json(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError as cut:
        raise ForgeLater("GitHub's answer is cut off") from cut


def _told(answer: httpx.Response, path: str) -> ForgeLater | ForgeRefused:
    status = answer.status_code
    headers = {name.lower(): value for name, value in answer.headers.items()}
    wait = retry_seconds(status, headers, body=answer.text[:2000], attempt=0, now=datetime.now(UTC))
    if wait is not None:
        return ForgeLater(f"GitHub answered {status}", after_seconds=wait if status in (403, 429) else 0.0)
    return ForgeRefusal(status, f"GitHub answered {status} to {path}: {_REFUSALS.get(status, 'it said no more')}")


class ForgeRefusal(ForgeRefused):
    """A refusal with the status GitHub gave it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@asynccontextmanager
async def connected(access: Access, repository: str, *, for_stranger: bool = False) -> AsyncIterator[Connection]:
    """A connection for a repository until the context ends. Raises ForgeLater, ForgeRefused.

    An App's token is for this repository alone, and for a stranger's run it may show what was found and no more.
    """
    # NOTE: githubkit's own retries have no upper bound on a wait, and repeat what may have been done.
    options: dict[str, Any] = {
        "base_url": access.api,
        "timeout": _ANSWER_SECONDS,
        "auto_retry": False,
        "follow_redirects": False,
        "user_agent": "towpath",
        # NOTE: githubkit's default is one cache for the process, in which an App is known by its id alone.
        "cache_strategy": MemCacheStrategy(),
    }
    if access.token:
        async with GitHub(TokenAuthStrategy(access.token), **options) as hub:
            yield Connection(hub)
        return
    app = AppAuthStrategy(access.app_id, access.app_key)
    async with GitHub(app, **options) as hub:
        found = await Connection(hub).ask("GET", f"/repos/{repository}/installation")
    narrowed: dict[str, Any] = {"repositories": [repository.rpartition("/")[2]]}
    if for_stranger:
        narrowed["permissions"] = permissions_to_show(found["permissions"])
    async with GitHub(app.as_installation(int(found["id"]), **narrowed), **options) as hub:
        yield Connection(hub)


def permissions_to_show(granted: Mapping[str, str]) -> dict[str, str]:
    """Of what an installation was granted: to write checks, statuses, comments and labels; the rest is left out.

    GitHub refuses a token that asks for more than was granted.
    """
    return {name: level for name, level in granted.items() if name in _SHOWING or (name, level) == _SEEING}
