"""Giving runs to a Prefect server, once each, however often it takes.

A run is created with an idempotency key, so that saying it again after a crash or a broken connection gives the run
that is there. A server that is away, locked or not yet set up is one to ask later; only what it calls wrong is refused.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx

from tasks.adapters.flow_runs import ServerBusy, api_client

_REMEMBERED_SECONDS = 60.0
_WRONG = frozenset({httpx.codes.BAD_REQUEST, httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY})
_ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED", "CANCELLING"})


class RunRefused(Exception):
    """The server says that the run is wrong; the text is one line."""


@dataclass(frozen=True)
class Deployment:
    """A deployment as the server knows it: which parameters it takes, and what kind of pool runs it."""

    id: str
    name: str
    parameters: frozenset[str]
    pool_type: str


class Server:
    """One Prefect server. Deployments are remembered for a minute, or until one is found to be gone."""

    def __init__(self, api_url: str) -> None:
        self._api = api_url
        self._client = api_client()
        self._known: dict[str, tuple[float, Deployment]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def deployment(self, name: str) -> Deployment | None:
        """The deployment of this name. Raises ServerBusy."""
        at, known = self._known.get(name, (0.0, None))
        if known is None or time.monotonic() - at > _REMEMBERED_SECONDS:
            asked = {"deployments": {"name": {"any_": [name]}}, "limit": 1}
            found = (await self._said("POST", "/deployments/filter", asked)).json()
            if not found:
                return None
            known = await self._described(found[0])
            self._known[name] = (time.monotonic(), known)
        return known

    async def _described(self, found: Mapping[str, Any]) -> Deployment:
        properties = (found.get("parameter_openapi_schema") or {}).get("properties") or {}
        pool = found.get("work_pool_name")
        kind = (await self._said("GET", f"/work_pools/{pool}")).json()["type"] if pool else "process"
        return Deployment(str(found["id"]), str(found["name"]), frozenset(properties), str(kind))

    async def start(
        self,
        deployment: Deployment,
        parameters: Mapping[str, Any],
        *,
        tags: tuple[str, ...],
        key: str,
    ) -> str:
        """The id of the run with this key, created unless it is there. Raises ServerBusy, RunRefused."""
        body: dict[str, Any] = {"parameters": dict(parameters), "tags": list(tags), "idempotency_key": key}
        answer = await self._said("POST", f"/deployments/{deployment.id}/create_flow_run", body)
        if answer.status_code == httpx.codes.NOT_FOUND:
            self._known.pop(deployment.name, None)
            raise ServerBusy(f"the deployment {deployment.name} was registered anew")
        return str(answer.json()["id"])

    async def cancel(self, run: str, reason: str) -> None:
        """Have a run stop, unless it has ended or is gone. Raises ServerBusy, RunRefused."""
        found = await self._said("GET", f"/flow_runs/{run}")
        if found.status_code == httpx.codes.NOT_FOUND or found.json().get("state_type") in _ENDED:
            return
        state = {"type": "CANCELLING", "name": "Cancelling", "message": reason}
        await self._said("POST", f"/flow_runs/{run}/set_state", {"state": state})

    async def _said(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        try:
            answer = await self._client.request(method, f"{self._api}{path}", json=body)
        except httpx.TransportError as broken:
            raise ServerBusy(f"the Prefect server could not be reached ({type(broken).__name__})") from broken
        if answer.status_code in _WRONG:
            said = " ".join(answer.text.split())[:300]
            raise RunRefused(f"the Prefect server refused it ({answer.status_code}: {said})")
        if answer.is_success or answer.status_code == httpx.codes.NOT_FOUND:
            return answer
        # NOTE: also a key that is wrong: somebody will correct it, and until then nothing is lost.
        raise ServerBusy(f"the Prefect server answered {answer.status_code}")
