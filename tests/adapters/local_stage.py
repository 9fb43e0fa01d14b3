"""A stage for the tests of the local platform: a state folder, a supervisor that can be killed, and visitors.

Everything is real: the supervisor is a process of its own, the router is Traefik, and the instances are servers.
"""

import asyncio
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tasks.adapters import permits
from tasks.adapters.daemons import birth_of
from tasks.adapters.plain_http import get
from tasks.adapters.platforms.local.families import Marked, kill, marked_processes
from tasks.adapters.platforms.local.folder import EnvironmentFolder
from tasks.adapters.platforms.local.platform import LocalPlatform
from tasks.adapters.state import write_atomically
from tasks.core.delivery_settings import ComponentSettings, MetricsSettings
from tasks.core.observed import ObservedInstance
from tasks.core.platform import EnvironmentStatus, Permit, Role
from tasks.core.release import Release

ROOT = Path(__file__).parents[2]
COMPONENT = Path(__file__).with_name("local_component.py")
ENVIRONMENT = "production"
METRICS = MetricsSettings(requests="web_requests_total", errors="web_errors_total", seconds="web_seconds")


def web(**changes: object) -> ComponentSettings:
    """The component most tests run."""
    usual: dict[str, object] = {
        "command": (sys.executable, "-S", "-E", "{artifact}/serve.py", "{port}"),
        "ready_path": "/ready",
        "live_path": "/live",
        "start_seconds": 10.0,
        "drain_seconds": 3.0,
        "metrics": METRICS,
    }
    return ComponentSettings.model_validate({**usual, **changes})


async def until(condition: Callable[[], Awaitable[bool]], *, what: str, seconds: float = 15.0) -> None:
    """Wait on a condition with a deadline."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        await asyncio.sleep(0.02)


@dataclass
class Stage:
    """One state folder with one target and one environment."""

    state: Path
    platform: LocalPlatform
    permit: Permit
    url: str
    supervisors: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def folder(self) -> EnvironmentFolder:
        return self.platform.folder(self.permit.environment)

    def take_permit(self) -> None:
        me = os.getpid()
        holder = permits.Holder(self.permit.token, "somebody", "a test", "", me, birth_of(me), time.time())
        permits.take(self.folder.path, self.permit.environment, holder)
        self.url = self.platform.prepare(self.permit.environment, 18_080)

    def supervise(self) -> "subprocess.Popen[bytes]":
        """Start a supervisor; it is ended with the stage."""
        with (self.state / "supervisor.log").open("ab") as log:
            child = subprocess.Popen(
                (sys.executable, "-m", "tasks.adapters.platforms.local", str(self.state)),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self.supervisors.append(child)
        return child

    def kill_supervisor(self) -> None:
        self.supervisors[-1].kill()
        self.supervisors[-1].wait()

    def stop_supervisor(self) -> int:
        self.supervisors[-1].send_signal(signal.SIGTERM)
        return self.supervisors[-1].wait(timeout=10)

    def said(self) -> str:
        return (self.state / "supervisor.log").read_text()

    def release(
        self,
        version: str,
        components: Mapping[str, ComponentSettings] | None = None,
        *,
        variables: Mapping[str, str] | None = None,
        replicas: int = 1,
    ) -> Release:
        """A release that is built."""
        components = components or {"web": web()}
        digest = hashlib.sha256(version.encode()).hexdigest()
        artifact = self.state / "artifacts" / digest
        artifact.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(COMPONENT, artifact / "serve.py")
        described = {name: settings.model_dump(mode="json") for name, settings in components.items()}
        (artifact / "artifact.json").write_text(json.dumps({"components": described}))
        return Release(
            version=version,
            revision="a" * 40,
            artifact=f"sha256:{digest}",
            configuration={name: variables or {} for name in components},
            replicas=dict.fromkeys(components, replicas),
        )

    async def put(self, release: Release, replicas: int = 1) -> None:
        await self.platform.put(self.permit, release, dict.fromkeys(release.replicas, replicas))

    async def put_ready(self, release: Release, replicas: int = 1) -> None:
        await self.put(release, replicas)
        await self.until_ready(Role.CANDIDATE, replicas)

    async def stable(self, version: str = "v1", replicas: int = 1) -> Release:
        """The first release of the environment, with all the traffic."""
        release = self.release(version)
        await self.put_ready(release, replicas)
        await self.platform.set_weight(self.permit, 100)
        await self.platform.promote(self.permit)
        return release

    async def status(self) -> EnvironmentStatus:
        return await self.platform.status(self.permit.environment)

    async def until_ready(self, role: Role, replicas: int, *, seconds: float = 15.0) -> None:
        async def is_ready() -> bool:
            status = await self.status()
            release = status.stable if role is Role.STABLE else status.candidate
            assert release is not None
            return not status.lacking(role, dict.fromkeys(release.replicas, replicas))

        await until(is_ready, what=f"{replicas} of {role} ready", seconds=seconds)

    async def until_status(self, is_so: Callable[[EnvironmentStatus], bool], *, what: str, seconds: float = 15) -> None:
        async def holds() -> bool:
            return is_so(await self.status())

        await until(holds, what=what, seconds=seconds)

    async def until_there(self, names: set[str], *, seconds: float = 15.0) -> None:
        """Until exactly these instances have a process."""

        async def are_there() -> bool:
            return {each.name for each in self.instances() if each.birth} == names

        await until(are_there, what=f"exactly {sorted(names)}", seconds=seconds)

    async def until_history(self) -> None:
        async def is_there() -> bool:
            return bool(await self.platform.recent(ENVIRONMENT, 60))

        await until(is_there, what="a snapshot in the history")

    async def until_restarted(self, name: str, times: int) -> str:
        """Until the instance was started again so often; returns why, as its note said."""
        notes: list[str] = []

        async def is_restarted() -> bool:
            found = [each for each in self.instances() if each.name == name]
            notes.extend(each.note for each in found)
            return any(each.restarts >= times for each in found)

        await until(is_restarted, what=f"{times} restarts of {name}")
        return notes[-1]

    async def until_noted(self, words: str) -> None:
        async def is_noted() -> bool:
            return words in self.folder.read_observed().note

        await until(is_noted, what=f"a note that {words}")

    async def until_logged(self, words: str) -> None:
        async def is_logged() -> bool:
            return words in self.said()

        await until(is_logged, what=f"a line that {words}")

    async def until_asked(self, name: str) -> None:
        """Until the instance works on somebody's request."""

        async def is_asked() -> bool:
            connections = psutil.Process(self.instance(name).pid).net_connections()
            return sum(each.status == psutil.CONN_ESTABLISHED for each in connections) > 0

        await until(is_asked, what=f"a request at {name}")

    async def ask(self, path: str) -> str:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=10) as client:
            answer = await client.get(path)
            assert answer.status_code == 200
            return answer.text

    def touch_wanted(self) -> None:
        """Give the supervisor something to write down."""
        write_atomically(self.folder.wanted, self.folder.wanted.read_bytes() + b" ")

    async def kill_router(self) -> None:
        router = self.folder.read_observed().router
        await kill({router.pid: router.birth})

    def instances(self) -> tuple[ObservedInstance, ...]:
        return self.folder.read_observed().instances

    def instance(self, name: str) -> ObservedInstance:
        return next(each for each in self.instances() if each.name == name)

    async def tell(self, name: str, path: str) -> None:
        """Speak to one instance, past the router."""
        await get(f"http://127.0.0.1:{self.instance(name).port}{path}", seconds=5)

    def processes(self) -> list[Marked]:
        return list(marked_processes(self.state))

    def marks(self) -> list[str]:
        """The names that living processes carry, each as often as it is carried."""
        return sorted(each.mark.rpartition("/")[2] for each in self.processes())

    async def until_marks(self, names: set[str], *, seconds: float = 15.0) -> None:
        """Until exactly these processes live, each once, and are all written down."""

        async def are_there() -> bool:
            recorded = {each.pid for each in (self.folder.read_observed().router, *self.instances()) if each.birth}
            return self.marks() == sorted(names) and {each.pid for each in self.processes()} == recorded

        await until(are_there, what=f"exactly {sorted(names)}, not {self.marks()}", seconds=seconds)

    async def answers(self, number: int) -> Counter[str]:
        """What this many visitors were told."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            return Counter([(await client.get("/")).text for _ in range(number)])

    async def close(self) -> None:
        for child in self.supervisors:
            child.kill()
            child.wait()
        await kill({each.pid: each.birth for each in self.processes()})


@asynccontextmanager
async def stage(state: Path, *, preferred_port: int = 18_080) -> AsyncIterator[Stage]:
    """A stage with a supervisor, and nothing put yet."""
    platform = LocalPlatform(state, "shop")
    url = platform.prepare(ENVIRONMENT, preferred_port)
    found = Stage(state, platform, Permit(ENVIRONMENT, "token"), url)
    found.take_permit()
    try:
        found.supervise()
        yield found
    finally:
        await found.close()


@dataclass
class Visit:
    """One request of the load: when it was sent and answered, by what, and what went wrong."""

    sent: float
    answered: float
    said: str
    trouble: str


@dataclass
class Load:
    """Visitors who come at a fixed rate, whatever becomes of those before them."""

    visits: list[Visit] = field(default_factory=list)

    def failures(self) -> list[Visit]:
        return [visit for visit in self.visits if visit.trouble]

    def last_answer_of(self, version: str, *, since: float) -> float:
        """Seconds from then until the last answer of this release."""
        late = [visit.answered for visit in self.visits if visit.said == version and visit.answered > since]
        return max(late) - since if late else 0.0


@asynccontextmanager
async def load(url: str, *, per_second: float) -> AsyncIterator[Load]:
    """An open loop of visitors; every fourth comes on a new connection."""
    running, ending = Load(), asyncio.Event()
    fresh = httpx.AsyncClient(
        base_url=url, trust_env=False, verify=False, timeout=10, limits=httpx.Limits(max_keepalive_connections=0)
    )
    kept = httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=10)
    async with fresh, kept, asyncio.TaskGroup() as group:
        group.create_task(_come(running, ending, group, (kept, kept, kept, fresh), 1 / per_second))
        try:
            yield running
        finally:
            ending.set()


async def _come(
    running: Load,
    ending: asyncio.Event,
    group: asyncio.TaskGroup,
    clients: tuple[httpx.AsyncClient, ...],
    gap_seconds: float,
) -> None:
    began, number = time.monotonic(), 0
    while not ending.is_set():
        group.create_task(_visit(running, clients[number % len(clients)], is_post=number % 5 == 0))
        number += 1
        await asyncio.sleep(max(0.0, began + number * gap_seconds - time.monotonic()))


async def _visit(running: Load, client: httpx.AsyncClient, *, is_post: bool) -> None:
    sent, said, trouble = time.monotonic(), "", ""
    try:
        answer = await (client.post("/") if is_post else client.get("/"))
        said = answer.text
        if answer.status_code != 200:
            trouble = f"{answer.status_code} {answer.text}"
    except httpx.HTTPError as error:
        trouble = repr(error)
    running.visits.append(Visit(sent, time.monotonic(), said, trouble))
