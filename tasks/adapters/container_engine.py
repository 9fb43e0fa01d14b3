"""The connection to the container engine that the `docker` program would use from here, and how we mark what is ours.

Whatever goes wrong with the engine itself is an EngineError: it says nothing about an image. Nothing is started in an
engine without the labels below, since they are how the leftovers of a killed run are found.
"""

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.adapters.state import state_home

if TYPE_CHECKING:
    from docker import DockerClient

RUN_LABEL = "towpath.run"
# Two people may share one engine: each sweeps only what their own Towpath started.
HOME_LABEL = "towpath.home"
_LOOPBACK = "127.0.0.1"
_REMOTE_SCHEMES = frozenset(("tcp", "http", "https", "ssh"))


class EngineError(Exception):
    """The engine could not do its part, so nothing is known about the image."""


@dataclass(frozen=True)
class Connection:
    """A client, and the address at which published ports are reached."""

    client: "DockerClient"
    address: str

    @property
    def is_local(self) -> bool:
        return self.address == _LOOPBACK


@contextmanager
def connect() -> Iterator[Connection]:
    import docker
    from docker.errors import ContextException, DockerException
    from requests.exceptions import RequestException

    try:
        endpoint = _endpoint()
        client = docker.from_env(use_ssh_client=True, environment={**os.environ, "DOCKER_HOST": endpoint})
        try:
            yield Connection(client, engine_address(endpoint))
        finally:
            client.close()
    except (DockerException, ContextException, RequestException) as error:
        raise EngineError(f"the container engine failed: {error}") from error


def _endpoint() -> str:
    """DOCKER_HOST, else the current context's: the SDK alone knows nothing of the docker program's contexts."""
    from docker.context import ContextAPI

    if host := os.environ.get("DOCKER_HOST"):
        return host
    context = ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT"))
    return context.Host or "" if context is not None else ""


def engine_address(endpoint: str) -> str:
    """Where published ports are reached: here, unless the engine is another machine (as beside a CI job)."""
    url = urlsplit(endpoint)
    if url.scheme in _REMOTE_SCHEMES and url.hostname not in (None, "localhost", "::1", _LOOPBACK):
        return url.hostname
    return _LOOPBACK


def labels_of(run_id: str) -> dict[str, str]:
    return {RUN_LABEL: run_id, HOME_LABEL: home_id()}


def home_id() -> str:
    return hashlib.sha256(f"{socket.gethostname()}:{state_home()}".encode()).hexdigest()[:16]
