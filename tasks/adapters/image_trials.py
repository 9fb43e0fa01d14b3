"""One start of an image, to see whether it lives.

The engine's own interface blocks, so a trial is held in a thread of its own from the container's creation to its
removal. The container is removed whatever happens: a bad image, a cancelled flow, an exception. A trial never reports
health that it did not see, and one that could not be held raises EngineError.
"""

import asyncio
import http.client
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.adapters.container_engine import Connection, EngineError, connect, labels_of

if TYPE_CHECKING:
    from docker.models.containers import Container

_POLL_SECONDS = 0.1
_PROBE_SECONDS = 1.0
_MEMORY_LIMIT = "1g"
_PROCESS_LIMIT = 512
_LOG_LINES = 50
_COMMAND_NOT_STARTABLE = frozenset((126, 127))
_ROOT = frozenset(("", "0", "root"))
_ENDED = frozenset(("exited", "dead"))


@dataclass(frozen=True, kw_only=True)
class ImageTrial:
    """Start an image once. Without a `port` the image's only EXPOSE is meant."""

    reference: str
    run_id: str
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    health_path: str | None = None
    start_seconds: float = 30.0


@dataclass(frozen=True)
class TrialResult:
    is_healthy: bool
    reason: str
    log_tail: str


async def try_image(trial: ImageTrial) -> TrialResult:
    """Start it, watch it until it is healthy, dead or out of time, remove it."""
    stop = threading.Event()
    # NOTE: one thread from create to remove, so that no cancellation can come between the two.
    held = asyncio.get_running_loop().run_in_executor(None, _hold_trial, trial, stop)
    try:
        return await asyncio.shield(held)
    except asyncio.CancelledError:
        stop.set()
        await _until_done(held)
        raise


async def _until_done(held: asyncio.Future[TrialResult]) -> None:
    while not held.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({held})
    # Asked for, or asyncio would complain that nobody did: whoever cancels a trial does not want its result.
    held.exception()


@dataclass(frozen=True)
class _Subject:
    """The container on trial, and where its published port is reached."""

    container: "Container"
    address: str
    health_path: str | None

    @property
    def state(self) -> Mapping[str, Any]:
        state: Mapping[str, Any] = self.container.attrs["State"]
        return state

    @property
    def has_ended(self) -> bool:
        return self.state["Status"] in _ENDED

    @property
    def health(self) -> str:
        """The image's own HEALTHCHECK: none, starting, healthy or unhealthy."""
        return str((self.state.get("Health") or {}).get("Status") or "none")

    @property
    def check_output(self) -> str:
        log = (self.state.get("Health") or {}).get("Log") or [{}]
        return last_line(str(log[-1].get("Output", "")))

    @property
    def log_tail(self) -> str:
        return self.container.logs(tail=_LOG_LINES).decode("utf-8", "replace")

    @property
    def last_words(self) -> str:
        """Standard error's, if any: the engine does not keep the two streams in order."""
        complaints = self.container.logs(stdout=False, tail=_LOG_LINES).decode("utf-8", "replace")
        return last_line(complaints if complaints.strip() else self.log_tail)


@dataclass(frozen=True)
class _Sight:
    """What one look saw; None while it may still become healthy."""

    is_healthy: bool | None = None
    words: str = "there was no time to look at it"


def _hold_trial(trial: ImageTrial, stop: threading.Event) -> TrialResult:
    with connect() as engine:
        container = _create(engine, trial)
        try:
            subject = _Subject(container, engine.address, trial.health_path)
            return _start(subject) or _watch(subject, trial.start_seconds, stop)
        finally:
            remove_container(container)


def _create(engine: Connection, trial: ImageTrial) -> "Container":
    config: Mapping[str, Any] = engine.client.images.get(trial.reference).attrs["Config"] or {}
    port = _port(trial, config)
    # Another machine's loopback cannot be probed from here: no address is any address.
    publish_on = "127.0.0.1" if engine.is_local else ""
    # An image that starts as root may need a few capabilities to step down from it; one that does not gets none.
    starts_as_root = config.get("User", "").partition(":")[0] in _ROOT
    return engine.client.containers.create(
        trial.reference,
        environment=dict(trial.environment),
        labels=labels_of(trial.run_id),
        ports={f"{port}/tcp": (publish_on, 0)} if port else {},
        mem_limit=_MEMORY_LIMIT,
        pids_limit=_PROCESS_LIMIT,
        cap_drop=[] if starts_as_root else ["ALL"],
        security_opt=["no-new-privileges"],
    )


def _port(trial: ImageTrial, config: Mapping[str, Any]) -> int | None:
    if trial.health_path is None or trial.port:
        return trial.port
    exposed = sorted(int(name.partition("/")[0]) for name in config.get("ExposedPorts") or {} if "udp" not in name)
    if len(exposed) != 1:
        found = ", ".join(map(str, exposed)) or "no port"
        raise EngineError(f"no telling where to ask for {trial.health_path}: the image EXPOSEs {found}; set its port")
    return exposed[0]


def _start(subject: _Subject) -> TrialResult | None:
    """Start it; what the image itself is to blame for is a result, the rest is the engine's error."""
    from docker.errors import APIError

    try:
        subject.container.start()
    except APIError as error:
        subject.container.reload()
        if subject.state["ExitCode"] not in _COMMAND_NOT_STARTABLE:
            raise
        return TrialResult(False, f"its command could not be started: {error.explanation}", "")
    return None


def _watch(subject: _Subject, start_seconds: float, stop: threading.Event) -> TrialResult:
    began = time.monotonic()
    seen = _Sight()
    while seen.is_healthy is None and time.monotonic() - began < start_seconds and not stop.is_set():
        subject.container.reload()
        seen = _look(subject)
        if seen.is_healthy is None:
            stop.wait(_POLL_SECONDS)
    if seen.is_healthy is None:
        subject.container.reload()
        seen = _last_look(subject, seen)
    words = f"{seen.words} (after {time.monotonic() - began:.1f} s)"
    return TrialResult(bool(seen.is_healthy), words, subject.log_tail)


def _look(subject: _Subject) -> _Sight:
    if subject.has_ended:
        return _death(subject)
    if subject.health_path is not None:
        return _probe(subject, subject.health_path)
    match subject.health:
        case "healthy":
            return _Sight(True, "its HEALTHCHECK passes")
        case "unhealthy":
            return _Sight(False, f"its HEALTHCHECK fails: {subject.check_output}")
        case status:
            return _Sight(None, f"its HEALTHCHECK is still {status}: {subject.check_output}")


def _last_look(subject: _Subject, seen: _Sight) -> _Sight:
    """At the deadline: undecided is unhealthy, unless there is nothing but being alive to ask for."""
    if subject.has_ended:
        return _death(subject)
    if subject.health_path is not None or subject.health != "none":
        return _Sight(False, f"it does not get healthy: {seen.words}")
    if subject.state["Status"] == "running":
        return _Sight(True, "it is still running, and has no health check to ask")
    return _Sight(False, f"it is {subject.state['Status']}, not running")


def _death(subject: _Subject) -> _Sight:
    cause = f", out of its {_MEMORY_LIMIT} of memory" if subject.state.get("OOMKilled") else ""
    return _Sight(False, f"it exited with code {subject.state['ExitCode']}{cause}: {subject.last_words}")


def _probe(subject: _Subject, path: str) -> _Sight:
    published = [binding for bindings in subject.container.ports.values() for binding in bindings or ()]
    if not published:
        return _Sight(None, "its port is not published yet")
    port = int(published[0]["HostPort"])
    connection = http.client.HTTPConnection(subject.address, port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", path, headers={"User-Agent": "towpath"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return _Sight(None, f"GET {path}: {error or type(error).__name__}")
    finally:
        connection.close()
    return _Sight(True if 200 <= status < 400 else None, f"GET {path} answers {status}")


def remove_container(container: "Container") -> None:
    """Remove it with all it holds; that somebody else does or did so is fine."""
    from docker.errors import APIError

    try:
        container.remove(force=True, v=True)
    except APIError as error:
        if error.status_code not in (http.client.NOT_FOUND, http.client.CONFLICT):
            raise


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
