"""The webhook door: what GitHub sends is checked, kept and answered, and does its work later.

It promises an answer within moments, that what it answered 202 is on the disk, and that nothing unsigned, oversized,
malformed or replayed is kept. Refusals are one line and tell a forger nothing. The work is the drain's, in the same
process: killing it with -9 at any moment loses nothing and doubles nothing.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import ClientDisconnect

from deployments.burying import conclude_changes, conclude_shown
from deployments.commanding import Commands
from deployments.door_metrics import DoorMetrics
from deployments.door_rates import Rates
from deployments.draining import Drain
from deployments.own_name import OwnName
from tasks.adapters.deliveries import Arrival, Deliveries, DeliveryState, Reception
from tasks.adapters.group_commit import StoreBroken
from tasks.core.door_settings import DoorSettings, Secrets
from tasks.core.events import Command, Ignored, Refused, Trigger, Unknown, route
from tasks.core.payloads import PayloadRefused
from tasks.core.signatures import is_signature, is_signed
from tasks.core.starts import Start

_log = logging.getLogger("towpath.door")
_ID = re.compile(r"^[0-9A-Za-z][0-9A-Za-z-]{7,63}$")
_EVENT = re.compile(r"^[a-z_]{1,64}$")
_LARGE_BYTES = 256 * 1024
_CLEAN_SECONDS = 3600.0
_DAY_SECONDS = 86_400.0
_CONCLUDE_SECONDS = 30.0


class Turned(Exception):
    """A request that is answered without being kept."""

    def __init__(self, status: int, said: str, wait_seconds: int = 0) -> None:
        super().__init__(said)
        self.status, self.said, self.wait_seconds = status, said, wait_seconds


@dataclass(frozen=True)
class Door:
    """What the door works with."""

    settings: DoorSettings
    secrets: Secrets
    store: Deliveries
    drain: Drain
    commands: Commands
    metrics: DoorMetrics
    signed: Rates
    refused: Rates
    state: Path
    own: OwnName = field(default_factory=OwnName)


def make_app(door: Door) -> FastAPI:
    """The door as an ASGI application; its drain runs for as long as it does."""

    @asynccontextmanager
    async def working(_: FastAPI) -> AsyncIterator[None]:
        work = (door.drain.run(), door.commands.run(), _cleaning(door), _concluding(door), door.own.learn())
        parts = [asyncio.create_task(each) for each in work]
        yield
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)

    app = FastAPI(lifespan=working, docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/github")
    async def github(request: Request) -> Response:
        return await _answered(door, request)

    @app.get("/healthz")
    async def healthz() -> Response:
        return await _health(door)

    @app.get("/metrics")
    async def metrics() -> Response:
        door.metrics.backlog.set((await asyncio.wrap_future(door.store.backlog())).count)
        return Response(generate_latest(door.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app


async def _cleaning(door: Door) -> None:
    """Delete what is older than it is kept for, now and each hour."""
    while True:
        try:
            await asyncio.wrap_future(door.store.forget(time.time() - door.settings.kept_days * _DAY_SECONDS))
        except StoreBroken as broken:
            _log.warning("old deliveries stay: %s", broken)
        await asyncio.sleep(_CLEAN_SECONDS)


async def _concluding(door: Door) -> None:
    """Runs that died are shown as ended where they came from: the door has the token, and brought them."""
    while True:
        try:
            await conclude_shown(door.state)
            await conclude_changes(door.state)
        except Exception as trouble:  # noqa: BLE001  (nothing that a forge does may end it)
            _log.warning("runs that died are not shown as ended: %r", trouble)
        await asyncio.sleep(_CONCLUDE_SECONDS)


async def _answered(door: Door, request: Request) -> Response:
    began = time.perf_counter()
    try:
        answer = await _taken(door, request)
    except Turned as turned:
        answer = _turned_away(door, request, turned)
    except ClientDisconnect:
        answer = _line(400, "the connection broke")
    except StoreBroken as broken:
        _log.error("a delivery was not accepted: %s", broken)
        answer = _line(503, "the delivery could not be kept: deliver it again later", wait_seconds=60)
    door.metrics.answers.labels(str(answer.status_code)).inc()
    door.metrics.seconds.observe(time.perf_counter() - began)
    return answer


def _turned_away(door: Door, request: Request, turned: Turned) -> Response:
    """Its reason, or that this address has been told enough of them for a minute."""
    if turned.status < 500 and turned.wait_seconds == 0 and (wait := door.refused.take(_source(request))):
        return _line(429, "too many refused requests from this address", wait_seconds=wait)
    return _line(turned.status, turned.said, wait_seconds=turned.wait_seconds)


def _line(status: int, said: str, *, wait_seconds: int = 0) -> Response:
    headers = {"Retry-After": str(wait_seconds)} if wait_seconds else {}
    # NOTE: what is left of a body that was not read must not be taken for the next request.
    return Response(f"{said}\n", status, headers | {"Connection": "close"}, "text/plain; charset=utf-8")


def _source(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _turn_away_at_once(door: Door, source: str) -> None:
    """Before anything is read, which costs time and memory. Raises Turned.

    An address that has signed is GitHub's, or a proxy that brings it: what it brings is read, whoever else it brings.
    """
    if (wait := door.refused.wait(source)) and not door.signed.knows(source):
        raise Turned(429, "too many refused requests from this address", wait)
    if wait := door.signed.wait(source):
        raise Turned(429, "too many deliveries from this address", wait)


async def _taken(door: Door, request: Request) -> Response:
    _turn_away_at_once(door, _source(request))
    delivery, event = request.headers.get("x-github-delivery", ""), request.headers.get("x-github-event", "")
    signature = request.headers.get("x-hub-signature-256", "")
    if not is_signature(signature):
        raise Turned(401, "X-Hub-Signature-256 is missing or no signature: give the webhook its secret")
    if not _ID.match(delivery) or not _EVENT.match(event):
        raise Turned(400, "X-GitHub-Delivery or X-GitHub-Event is missing: this door is for GitHub's webhooks")
    body = await _read(door, request)
    is_large = len(body) > _LARGE_BYTES
    signed = (
        await asyncio.to_thread(is_signed, body, signature, door.secrets)
        if is_large
        else is_signed(body, signature, door.secrets)
    )
    if not signed:
        raise Turned(401, "the signature is not of a secret that is known here")
    if wait := door.signed.take(_source(request)):
        raise Turned(429, "too many deliveries from this address", wait)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Turned(415, "set the webhook's content type to application/json")
    words = (door, delivery, event, body)
    arrival = await asyncio.to_thread(_read_meaning, *words) if is_large else _read_meaning(*words)
    return Response(status_code=204) if arrival is None else await _kept(door, arrival)


async def _read(door: Door, request: Request) -> bytes:
    """The body, within the limits of size and time, whatever its headers promise. Raises Turned."""
    limit = door.settings.max_body_bytes
    too_large = Turned(413, f"a delivery may have {limit} bytes")
    promised = request.headers.get("content-length", "0")
    if promised.isdigit() and int(promised) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(door.settings.read_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise Turned(408, f"the body did not arrive within {door.settings.read_seconds:g} s") from None
    return bytes(body)


def _read_meaning(door: Door, delivery: str, event: str, body: bytes) -> Arrival | None:
    """What is to be kept of it; None for an event without use. Raises Turned."""
    try:
        payload = json.loads(body)
        if not isinstance(payload, dict):
            raise Turned(400, "the body is no JSON object")
        found = route(event, payload, door.settings, own_login=door.own.login)
    except (ValueError, RecursionError):
        raise Turned(400, "the body is not JSON") from None
    except PayloadRefused as refused:
        raise Turned(400, f"the payload of {event} is malformed: {refused}") from None
    state, reason = DeliveryState.RECEIVED, ""
    starts: tuple[Start, ...] = ()
    match found:
        case Unknown():
            return None
        case Trigger():
            state, starts = DeliveryState.STARTED, found.runs
        case Ignored():
            state, reason = DeliveryState.IGNORED, found.reason
        case Refused():
            state, reason = DeliveryState.REFUSED, found.reason
        case Command():
            pass
        case _:
            assert_never(found)
    return _arrival(delivery, event, payload, body, state, reason, starts)


def _arrival(
    delivery: str,
    event: str,
    payload: dict[str, Any],
    body: bytes,
    state: DeliveryState,
    reason: str,
    starts: tuple[Start, ...],
) -> Arrival:
    def word(part: str, key: str) -> str:
        inner = payload.get(part)
        return str(inner.get(key, ""))[:200] if isinstance(inner, dict) else ""

    repository, sender = word("repository", "full_name"), word("sender", "login")
    return Arrival(delivery, event, repository, sender, body, time.time(), state, reason, starts)


async def _kept(door: Door, arrival: Arrival) -> Response:
    received = await asyncio.wrap_future(door.store.receive(arrival))
    match received.reception:
        case Reception.REPLAYED:
            raise Turned(409, "this body, or this id, was received before with another")
        case Reception.REPEATED:
            status = 200
        case Reception.NEW:
            status = 202
            door.metrics.deliveries.labels(arrival.event, arrival.state.value).inc()
            door.drain.wake()
            door.commands.wake()
        case _:
            assert_never(received.reception)
    said = {"delivery": arrival.id, "runs": list(received.runs)}
    return Response(json.dumps(said) + "\n", status, media_type="application/json")


async def _health(door: Door) -> Response:
    """Whether deliveries are taken, and whether they move on. Prefect being away is no reason to turn GitHub away."""
    try:
        backlog = await asyncio.wait_for(asyncio.wrap_future(door.store.backlog()), 5)
    except (StoreBroken, TimeoutError):
        return _line(503, "the store of deliveries does not answer")
    waited = max(0.0, time.time() - backlog.oldest_at) if backlog.count else 0.0
    said = {
        "status": "stuck" if waited > door.settings.stuck_seconds else "ok",
        "waiting": backlog.count,
        "oldest_seconds": round(waited, 1),
        "trouble": door.drain.trouble,
    }
    return Response(json.dumps(said) + "\n", media_type="application/json")
