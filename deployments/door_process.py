"""The door as a process: its settings, its port, its server, and connections that dawdle closed."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from deployments.commanding import Commands
from deployments.door_metrics import DoorMetrics
from deployments.door_rates import Rates
from deployments.draining import Drain
from deployments.webhook import Door, make_app
from tasks.adapters.deliveries import Deliveries, store_path
from tasks.adapters.door_configuration import read_door_toml
from tasks.adapters.flow_runs import api_of
from tasks.adapters.hand_over import Server
from tasks.adapters.locks import locked
from tasks.core.door_settings import SECRETS_VARIABLE, DoorRefused, read_secrets

_HEADER_SECONDS = 10.0
_MOST_CONNECTIONS = 1000


class _Impatient(H11Protocol):
    """Hangs up on a connection whose request line and headers do not arrive in time."""

    _ending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._ending = self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        has_request = self.cycle is not None and not self.cycle.response_complete
        if has_request and self._ending is not None:
            self._ending.cancel()
            self._ending = None
        elif not has_request and self._ending is None:
            self._ending = self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ending is not None:
            self._ending.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        self._ending = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def serve(state: Path, host: str, port: int, *, on_open: Callable[[str], None]) -> None:
    """Keep the door open until the process is told to end. Raises DoorRefused, StoreBroken, OSError."""
    settings, secrets = read_door_toml(state), read_secrets(os.environ.get(SECRETS_VARIABLE, ""))
    path = store_path(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            locked(path.with_name("lock")),
            _listening(host, port) as listening,
            closing(Deliveries(path)) as store,
        ):
            metrics = DoorMetrics()
            drain = Drain(
                store,
                settings,
                lambda: Server(api_of(state)),
                on_run=lambda run_state: metrics.runs.labels(run_state.value).inc(),
            )
            door = Door(
                settings,
                secrets,
                store,
                drain,
                Commands(store, settings, state, on_start=drain.wake),
                metrics,
                Rates(settings.signed_per_minute),
                Rates(settings.refused_per_minute),
                state,
            )
            on_open(f"http://{host}:{listening.getsockname()[1]}")
            uvicorn.Server(_configured(door)).run(sockets=[listening])
    except BlockingIOError:
        raise DoorRefused("a door of this home is open already: towpath status says where its state is") from None


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=1024)
    # NOTE: asyncio does this for its own sockets only, and without it an answer waits 40 ms for an acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _configured(door: Door) -> uvicorn.Config:
    proxies = list(door.settings.trusted_proxies)
    return uvicorn.Config(
        make_app(door),
        http=_Impatient,
        ws="none",
        loop="asyncio",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies or None,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
