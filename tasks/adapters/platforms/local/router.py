"""The router of one environment: Traefik on a port of its own, reading the file everybody renders.

It is started like an instance and outlives the supervisor like one. When it dies or no longer answers it is started
again at once, since nothing of the environment is reachable without it.
"""

import asyncio
import json
import shutil
import sys
import time
from pathlib import Path

from tasks.adapters.daemons import last_line
from tasks.adapters.plain_http import Unanswered, get
from tasks.adapters.platforms.local.families import marks
from tasks.adapters.platforms.local.instance import Home
from tasks.adapters.platforms.local.living import LivingProcess, adopted, started
from tasks.adapters.process import clean_environment
from tasks.adapters.state import write_atomically
from tasks.core.observed import ObservedRouter
from tasks.core.restarts import failures_after, pause_seconds

NAME = "router"
_PING_SECONDS = 1.0
_FAST_SECONDS = 0.05
_MISSES = 3
_START_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 1.0
STOP_SECONDS = 2.0


class LocalRouter:
    """The router's process, from its start to its end."""

    def __init__(self, home: Home, record: ObservedRouter) -> None:
        self.home = home
        self.record = record
        self.port = record.port
        self._failures = 0
        self._why_again = ""
        self._wake = asyncio.Event()
        self._process: LivingProcess | None = None
        if record.birth:
            self._process = adopted(record.pid, record.birth, self._wake.set)

    @property
    def mark(self) -> str:
        return f"{self.home.folder.address}/{NAME}"

    @property
    def private_port(self) -> int:
        """Where its API answers; 0 while there is none."""
        return self.record.private_port if self._process is not None and self._process.is_alive else 0

    def start_again(self, why: str) -> None:
        """What it was started for is no more."""
        self._why_again = why
        self._wake.set()

    async def live(self) -> None:
        """For ever, on the environment's port."""
        while True:
            since = time.monotonic()
            if self._process is None:
                self._start()
            why = await self._watched() if self._process is not None else self.record.note
            await self.end(STOP_SECONDS)
            self._failures = failures_after(self._failures, seconds_up=time.monotonic() - since)
            said = last_line(self.home.folder.log_of(NAME))
            note = f"the router {why}{'; it last said: ' + said if said else ''}"
            self.home.log(note)
            self._tell(pid=0, birth="", note=note)
            # NOTE: the first restart does not wait: everything is unreachable meanwhile.
            await asyncio.sleep(min(pause_seconds(self._failures - 1), _LONGEST_PAUSE_SECONDS))

    async def end(self, seconds: float) -> None:
        if self._process is not None:
            await self._process.end(self.home.folder.state, self.mark, seconds=seconds)
            self._process = None

    def _start(self) -> None:
        folder, private_port = self.home.folder, self.home.ports.take()
        settings = folder.router / "static.yml"
        try:
            write_atomically(settings, json.dumps(_settings(self.port, private_port, folder.routes.parent)), mode=0o600)
            self._process = started(
                (_program(), f"--configfile={settings}"),
                directory=folder.router,
                environment=clean_environment(needs=frozenset(), extras=marks(folder.state, self.mark)),
                log=folder.log_of(NAME),
                on_end=self._wake.set,
            )
        except OSError as error:
            self._tell(note=f"could not be started: {error.strerror or error}")
            return
        self._tell(
            pid=self._process.pid,
            birth=self._process.birth,
            port=self.port,
            private_port=private_port,
            note="the router starts",
        )

    async def _watched(self) -> str:
        """Until it is gone or no longer answers, and which."""
        misses, until = 0, time.monotonic() + _START_SECONDS
        has_answered, self._why_again = not self.record.note, ""
        while self._process is not None and self._process.is_alive:
            if await self._answers():
                misses, has_answered = 0, True
                if self.record.note:
                    self._tell(note="")
            elif has_answered or time.monotonic() > until:
                misses += 1
            if self._why_again:
                return self._why_again
            if misses >= _MISSES:
                return "did not answer any more"
            await self._pause(_PING_SECONDS if has_answered else _FAST_SECONDS)
        return self._process.how_it_ended if self._process is not None else "ended"

    async def _answers(self) -> bool:
        try:
            status, _ = await get(f"http://127.0.0.1:{self.record.private_port}/ping", seconds=_PING_SECONDS)
        except Unanswered:
            return False
        return status == 200

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    def _tell(self, **changes: object) -> None:
        self.record = self.record.model_copy(update=changes)
        self.home.changed()


def _program() -> str:
    """The binary that came with Towpath's own environment, else the one on the path."""
    beside = Path(sys.executable).with_name("traefik")
    if beside.is_file():
        return str(beside)
    if found := shutil.which("traefik"):
        return found
    raise FileNotFoundError(2, "Traefik is not installed: install Towpath's dependencies again")


def _settings(port: int, private_port: int, routes: Path) -> dict[str, object]:
    """JSON is YAML too. Only this machine can reach either port."""
    return {
        "entryPoints": {
            "web": {
                "address": f"127.0.0.1:{port}",
                "transport": {"lifeCycle": {"graceTimeOut": f"{STOP_SECONDS:g}s"}},
            },
            "traefik": {"address": f"127.0.0.1:{private_port}"},
        },
        "providers": {
            "providersThrottleDuration": "50ms",
            "file": {"directory": str(routes), "watch": True},
        },
        "api": {"insecure": True, "dashboard": False},
        "ping": {},
        "metrics": {"prometheus": {"entryPoint": "traefik"}},
        "log": {"level": "ERROR"},
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
    }
