"""One instance: started, probed, started again when it fails, and let go without losing a request.

What the environment must know of it (its process, whether it may get traffic, why not) is in `record`, which is
written down by the environment whenever `changed` is called. An instance that must go loses its traffic first, and is
asked to end only when the router no longer knows it.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from tasks.adapters.daemons import last_line
from tasks.adapters.plain_http import Unanswered, get
from tasks.adapters.platforms.local.families import marks, session_of
from tasks.adapters.platforms.local.folder import EnvironmentFolder
from tasks.adapters.platforms.local.living import LivingProcess, adopted, started
from tasks.adapters.platforms.local.ports import Ports
from tasks.adapters.process import clean_environment
from tasks.adapters.withheld import SecretMissing, with_secrets
from tasks.core.delivery_settings import ComponentSettings
from tasks.core.health import Health, Judgement, Probes, judged
from tasks.core.observed import ObservedInstance
from tasks.core.placeholders import filled_values, filled_words
from tasks.core.restarts import failures_after, pause_seconds
from tasks.core.wanted import Group

_PROBE_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
_FAST_SECONDS = 0.1
# What the router handed over just before it followed must reach the instance before it is asked to end.
_QUIET_SECONDS = 0.5


class Home(Protocol):
    """What an instance needs of its environment."""

    folder: EnvironmentFolder
    ports: Ports

    def changed(self) -> None:
        """The record changed: write it down and tell the router."""

    def log(self, text: str) -> None:
        """One line for people."""

    async def until_routed(self) -> None:
        """Until what changed before is written down and the router follows it, or cannot."""


@dataclass(frozen=True)
class Program:
    """What an instance runs, and how it is looked after."""

    settings: ComponentSettings
    group: Group
    artifact: Path
    data: Path

    def argv(self, port: int) -> tuple[str, ...]:
        return filled_words(self.settings.command, self._places(port))

    def variables(self, component: str, port: int) -> dict[str, str]:
        named = {**self.settings.environment, **self.group.release.configuration.get(component, {})}
        own = {"PORT": str(port), "RELEASE": self.group.release.version}
        return with_secrets(filled_values(named, self._places(port)), self.data.parent) | own

    def _places(self, port: int) -> dict[str, str]:
        return {"port": str(port), "artifact": str(self.artifact), "data": str(self.data)}


class LocalInstance:
    """One instance from its start to its end; `program` is None for one of a release nobody knows any more."""

    def __init__(self, home: Home, record: ObservedInstance, program: Program | None) -> None:
        self.home = home
        self.record = record
        self.program = program
        self._health = Health(was_ready=record.was_ready)
        self._wake = asyncio.Event()
        self._process: LivingProcess | None = None
        if record.birth:
            self._adopt()

    @property
    def mark(self) -> str:
        return f"{self.home.folder.address}/{self.record.name}"

    def leave(self) -> None:
        """It is wanted no more."""
        if not self.record.is_leaving:
            self._tell(is_leaving=True, is_ready=False, note="being drained")
        self._wake.set()

    async def live(self) -> None:
        """Until it has left."""
        while not self.record.is_leaving and self.program is not None:
            if self._process is None:
                self._start(self.program)
            why = await self._watched(self.program) if self._process is not None else self.record.note
            if not self.record.is_leaving:
                await self._again(why, self.program)
        await self._drained()

    async def end(self, seconds: float) -> None:
        """End it now, whatever traffic it has."""
        if self._process is not None:
            # NOTE: a stop of the supervisor may interrupt this, and must still find the process.
            await self._process.end(self.home.folder.state, self.mark, seconds=seconds)
            self._process = None

    def _adopt(self) -> None:
        self._process = adopted(self.record.pid, self.record.birth, self._wake.set)
        if self._process is None:
            self.record = self.record.model_copy(
                update={
                    "birth": "",
                    "pid": 0,
                    "is_ready": False,
                    "was_ready": False,
                    "restarts": self.record.restarts + 1,
                    "failures": self.record.failures + 1,
                    "note": "ended while the platform did not run",
                }
            )
            self._health = Health()

    def _start(self, program: Program) -> None:
        port = self.home.ports.take()
        try:
            variables = program.variables(self.record.component, port) | marks(self.home.folder.state, self.mark)
            self._process = started(
                program.argv(port),
                directory=_directory(program, self.record.component),
                environment=clean_environment(needs=frozenset(), extras=variables),
                log=self.home.folder.log_of(self.record.name),
                on_end=self._wake.set,
            )
        except SecretMissing as missing:
            self._tell(note=str(missing))
            return
        except OSError as error:
            self._tell(note=f"{program.settings.command[0]} could not be started: {error.strerror}: {error.filename}")
            return
        self._health = Health()
        self._tell(
            pid=self._process.pid,
            birth=self._process.birth,
            port=port,
            started=time.monotonic(),
            was_ready=False,
            note=self.record.note or "starting",
        )

    async def _watched(self, program: Program) -> str:
        """Until it must be started again, and why; or until it must go."""
        assert self._process is not None
        while not self.record.is_leaving:
            if not self._process.is_alive:
                return self._with_last_line(self._process.how_it_ended)
            await self._look(program)
            if self._health.judgement is Judgement.RESTART:
                return self._with_last_line(self._health.note)
            await self._pause(_PROBE_SECONDS if self._health.was_ready else _FAST_SECONDS)
        return ""

    async def _look(self, program: Program) -> None:
        probes = await self._probed(program)
        if self._process is None or not self._process.is_alive or self.record.is_leaving:
            return
        seconds_up = time.monotonic() - (self.record.started or 0.0)
        self._health = judged(self._health, probes, seconds_up=seconds_up, start_seconds=program.settings.start_seconds)
        is_ready = self._health.judgement is Judgement.READY
        # While it starts again, why it had to is worth more than that it starts.
        note = self.record.note if self.record.failures and not self._health.was_ready else self._health.note
        if (is_ready, self._health.was_ready, note) != (self.record.is_ready, self.record.was_ready, self.record.note):
            self._tell(is_ready=is_ready, was_ready=self._health.was_ready, note=note)

    async def _probed(self, program: Program) -> Probes:
        url, settings = f"http://127.0.0.1:{self.record.port}", program.settings
        if settings.live_path == settings.ready_path or not self._health.was_ready:
            ready = await _answer(f"{url}{settings.ready_path}")
            live = ready
        else:
            ready, live = await asyncio.gather(
                _answer(f"{url}{settings.ready_path}"), _answer(f"{url}{settings.live_path}")
            )
        if not ready and not self._health.was_ready and not self._is_listening():
            ready = f"another program answers on port {self.record.port}"
        return Probes(ready, live)

    def _is_listening(self) -> bool:
        """Whether it is this instance that answers, and not another that was faster on its port."""
        assert self._process is not None
        for pid in session_of(self._process.pid):
            try:
                found = psutil.Process(pid).net_connections(kind="tcp")
            except psutil.Error:
                continue
            if any(each.status == psutil.CONN_LISTEN and each.laddr.port == self.record.port for each in found):
                return True
        return False

    async def _again(self, why: str, program: Program) -> None:
        """Clear away what failed, and wait before the next start."""
        now = time.monotonic()
        seconds_up = now - (self.record.started or now) if self.record.was_ready else 0.0
        had_traffic = self.record.is_ready
        self.home.log(f"{self.record.name} is started again: {why}")
        failures = failures_after(self.record.failures, seconds_up=seconds_up)
        self._tell(is_ready=False, restarts=self.record.restarts + 1, failures=failures, note=why)
        if self._process is not None:
            if had_traffic and self._process.is_alive:
                await self.home.until_routed()
            await self.end(program.settings.drain_seconds)
        self._tell(pid=0, birth="", port=0, was_ready=False)
        until = time.monotonic() + pause_seconds(failures)
        while not self.record.is_leaving and (left := until - time.monotonic()) > 0:
            await self._pause(left)

    async def _drained(self) -> None:
        if self._process is not None:
            await self.home.until_routed()
            await asyncio.sleep(_QUIET_SECONDS)
            await self.end(self.record.drain_seconds)

    async def _pause(self, seconds: float) -> None:
        """Until something happened, or this long."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    def _with_last_line(self, why: str) -> str:
        said = last_line(self.home.folder.log_of(self.record.name))
        return f"{why}; it last said: {said}" if said else why

    def _tell(self, **changes: object) -> None:
        self.record = self.record.model_copy(update=changes)
        self.home.changed()


async def _answer(url: str) -> str:
    """What is wrong with the answer of a probe; empty when nothing is."""
    try:
        status, _ = await get(url, seconds=_ANSWER_SECONDS)
    except Unanswered as silent:
        return str(silent)
    return "" if status == 200 else f"it answers {status}"


def _directory(program: Program, component: str) -> Path:
    own = program.artifact / component
    return own if own.is_dir() else program.artifact
