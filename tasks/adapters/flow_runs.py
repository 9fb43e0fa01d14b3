"""A few words to a Prefect server about its flow runs, over HTTP, since importing Prefect for them costs a second."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

# What a Prefect server gives at once, at most; and where to stop, however many there are.
_PAGE, _MOST_PAGES = 200, 50


class ServerSilent(Exception):
    """The server could not be asked; the text is one line."""


class ServerBusy(ServerSilent):
    """The server did not come to it: its database was locked, or the connection broke. Later it may."""


@dataclass(frozen=True)
class Taken:
    """Whether the server took it, and its reason when it did not."""

    is_accepted: bool
    is_paused: bool
    reason: str


def api_of(state: Path) -> str:
    """The API the user named, else that of the server of this home. Raises ServerSilent."""
    if named := os.environ.get("PREFECT_API_URL"):
        return named.rstrip("/")
    try:
        return str(json.loads((state / "server" / "server.json").read_bytes())["url"])
    except (OSError, ValueError, KeyError) as missing:
        raise ServerSilent("no Prefect server runs here: towpath up starts it") from missing


async def resume(api_url: str, run: str, answer: Mapping[str, str]) -> Taken:
    """Answer the form of a paused run. Raises ServerSilent."""
    said = await _post(f"{api_url}/flow_runs/{run}/resume", {"run_input": dict(answer)})
    details = said.get("details") or {}
    reason = str(details.get("reason") or "")
    return Taken(said.get("status") == "ACCEPT", "not paused" not in reason, reason)


async def bury(api_url: str, run: str, message: str) -> None:
    """Say of a run whose process died that it crashed, so that nobody can answer it any more. Raises ServerSilent."""
    state = {"type": "CRASHED", "name": "Crashed", "message": message}
    await _post(f"{api_url}/flow_runs/{run}/set_state", {"state": state, "force": True})


@dataclass(frozen=True)
class LateRun:
    """A run that was due and that nobody has taken up."""

    id: str
    name: str
    due: datetime


async def late_runs(api_url: str, *, before: datetime) -> tuple[LateRun, ...]:
    """Runs that a schedule began, that were due before a moment and are marked as late. Raises ServerSilent."""
    found: list[LateRun] = []
    for page in range(_MOST_PAGES):
        told = await _ask(f"{api_url}/flow_runs/filter", _late(before, page))
        try:
            # NOTE: the server has no filter for it. A run that somebody began himself is one he can see himself.
            found += [_late_run(run) for run in told if run["auto_scheduled"]]
            is_last = len(told) < _PAGE
        except (KeyError, TypeError, ValueError) as broken:
            raise ServerSilent("the Prefect server's answer is none that is known") from broken
        if is_last:
            break
    return tuple(found)


def _late(before: datetime, page: int) -> dict[str, Any]:
    due = {"before_": before.astimezone(UTC).isoformat()}
    wanted = {"state": {"name": {"any_": ["Late"]}}, "expected_start_time": due}
    return {"flow_runs": wanted, "sort": "EXPECTED_START_TIME_ASC", "limit": _PAGE, "offset": page * _PAGE}


def _late_run(run: Mapping[str, Any]) -> LateRun:
    return LateRun(str(run["id"]), str(run["name"]), datetime.fromisoformat(run["expected_start_time"]))


def api_client() -> httpx.AsyncClient:
    """A client that speaks to a Prefect API as the environment says it may."""
    headers = {"Authorization": f"Bearer {key}"} if (key := os.environ.get("PREFECT_API_KEY")) else {}
    return httpx.AsyncClient(headers=headers, auth=_credentials(), timeout=15, trust_env=False)


async def _post(url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return dict(await _ask(url, body))


async def _ask(url: str, body: Mapping[str, Any]) -> Any:
    try:
        async with api_client() as client:
            answer = await client.post(url, json=body)
            if answer.status_code == httpx.codes.NOT_FOUND:
                raise ServerSilent("the Prefect server does not know this run")
            if answer.is_server_error:
                raise ServerBusy(f"the Prefect server answered {answer.status_code}")
            return answer.raise_for_status().json()
    except httpx.HTTPStatusError as refused:
        said = f"{refused.response.status_code}: {refused.response.text[:200]}"
        raise ServerSilent(f"the Prefect server refused it ({said})") from refused
    except httpx.TransportError as broken:
        raise ServerBusy(f"the Prefect server could not be reached ({type(broken).__name__})") from broken
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as failure:
        raise ServerSilent(f"the Prefect server could not be asked ({type(failure).__name__})") from failure


def _credentials() -> httpx.BasicAuth | None:
    user, colon, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    return httpx.BasicAuth(user, password) if colon else None
