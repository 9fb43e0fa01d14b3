"""One environment as the supervisor runs it: what is wanted is compared with what is there, and made so.

Whatever changes is written down under the environment's mutex together with the router's configuration, so that a
supervisor that is killed at any moment leaves behind what its successor needs.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from tasks.adapters.locks import locked
from tasks.adapters.platforms.local import history, output
from tasks.adapters.platforms.local.folder import EnvironmentFolder
from tasks.adapters.platforms.local.following import FOLLOW_SECONDS, wait_until_followed
from tasks.adapters.platforms.local.instance import LocalInstance, Program
from tasks.adapters.platforms.local.ports import Ports
from tasks.adapters.platforms.local.router import NAME as ROUTER
from tasks.adapters.platforms.local.router import STOP_SECONDS, LocalRouter
from tasks.core.observed import Observed, ObservedInstance, ObservedProcess
from tasks.core.platform import PlatformTrouble, Role
from tasks.core.wanted import Group, Wanted

_TIDY_SECONDS = 1.0
_MOST_STOP_SECONDS = 2.0
_POLL_SECONDS = 0.02


class LocalEnvironment:
    """An environment; `look` is called ten times a second and whenever `wake` is set."""

    def __init__(
        self, folder: EnvironmentFolder, supervisor: ObservedProcess, ports: Ports, wake: asyncio.Event
    ) -> None:
        self.folder = folder
        self.ports = ports
        self._troubles: dict[str, str] = {}
        folder.delete_halves()
        self._supervisor = supervisor
        self._wake = wake
        seen = folder.read_observed()
        self._adoptable = {each.name: each for each in seen.instances}
        self._instances: dict[str, LocalInstance] = {}
        self.router = LocalRouter(self, seen.router)
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted: Wanted | None = None
        self._signature: tuple[int, ...] = (0,)
        self._version, self._published = 1, 0
        self._digests: deque[tuple[int, str]] = deque(maxlen=64)
        self._is_running = False

    def changed(self) -> None:
        self._version += 1
        self._wake.set()

    def log(self, text: str) -> None:
        log(f"{self.folder.address}: {text}")

    async def until_routed(self) -> None:
        version, deadline = self._version, time.monotonic() + FOLLOW_SECONDS
        while self._published < version and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)

        def is_recent(digest: str) -> bool:
            return any(published >= version and known == digest for published, known in self._digests)

        if self.router.private_port:
            await wait_until_followed(lambda: self.router.private_port, lambda answer: is_recent(answer.digest))

    def look(self) -> None:
        """Compare and act; quick, and raises nothing that a broken file or a full disk could cause."""
        if self._has_changed():
            self._read()
        if self._wanted is not None:
            self._reconcile(self._wanted)
        if self._published < self._version:
            self._publish()

    async def stop(self) -> None:
        """End everything, the router first; what is wanted stays wanted."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.router.end(STOP_SECONDS)
        instances = [*self._instances.values(), *(self._unrun(record) for record in self._adoptable.values())]
        await asyncio.gather(*(each.end(min(each.record.drain_seconds, _MOST_STOP_SECONDS)) for each in instances))
        with suppress(OSError):
            self.folder.write_observed(Observed())

    def say(self, about: str, text: str) -> None:
        """One line for people, once for each trouble; nothing to say means it is over."""
        if text == self._troubles.get(about, ""):
            return
        self._troubles = {**self._troubles, about: text}
        self.changed()
        self.log(text or f"the trouble with {about} is over")

    def _has_changed(self) -> bool:
        signature: tuple[int, ...] = ()
        with suppress(OSError):
            found = self.folder.wanted.stat()
            signature = (found.st_ino, found.st_mtime_ns, found.st_size)
        if signature == self._signature:
            return False
        self._signature = signature
        return True

    def _read(self) -> None:
        """What cannot be read changes nothing: what runs goes on as it was."""
        try:
            wanted = self.folder.read_wanted()
        except PlatformTrouble as trouble:
            self.say("wanted.json", str(trouble))
            return
        if wanted is None:
            self.say("wanted.json", f"{self.folder.wanted} is gone: what runs goes on")
            return
        if self._wanted is not None and wanted.revision < self._wanted.revision:
            self._begin_anew()
        self._wanted = wanted
        self.router.port = wanted.port
        self.say("wanted.json", "")
        self.changed()
        if not self._is_running:
            self._is_running = True
            self._run(self.router.live())
            self._run(self._tidy())
            self._run(self._measure())

    def _begin_anew(self) -> None:
        """Somebody deleted the environment and made it again: names and files of before mean something else now."""
        self.log("it was made anew, what ran is ended")
        for instance in self._instances.values():
            instance.leave()
        self.router.start_again("had to begin anew")

    def _reconcile(self, wanted: Wanted) -> None:
        places = {
            name: (group, component) for group in wanted.groups() for name, component in group.instances().items()
        }
        for name, (group, component) in places.items():
            if name not in self._instances:
                record = self._adoptable.pop(name, None) or _fresh(name, group, component)
                self._take_in(LocalInstance(self, record, self._program(group, component)))
        for name in [name for name in self._adoptable if name not in places]:
            self._take_in(self._unrun(self._adoptable.pop(name)))
        for name, instance in self._instances.items():
            if name not in places:
                instance.leave()

    def _take_in(self, instance: LocalInstance) -> None:
        self._instances[instance.record.name] = instance
        self._run(self._lived(instance))

    async def _lived(self, instance: LocalInstance) -> None:
        await instance.live()
        del self._instances[instance.record.name]
        self.changed()

    def _unrun(self, record: ObservedInstance) -> LocalInstance:
        """One of a release that is wanted no more."""
        return LocalInstance(self, record, None)

    def _program(self, group: Group, component: str) -> Program:
        artifact = self.folder.artifact_of(group.release.artifact)
        return Program(group.components[component], group, artifact, self.folder.data)

    def _observed(self) -> Observed:
        instances = [each.record for each in self._instances.values()]
        return Observed(
            supervisor=self._supervisor,
            router=self.router.record,
            instances=tuple(sorted([*instances, *self._adoptable.values()], key=lambda each: each.name)),
            note="; ".join(text for text in self._troubles.values() if text),
        )

    def _publish(self) -> None:
        """Write down what is there, and the routes with it; when somebody holds the mutex, at the next look."""
        version = self._version
        try:
            with locked(self.folder.mutex):
                observed = self._observed()
                self.folder.write_observed(observed)
                # What is wanted may have changed since it was looked at, and may not be readable at the moment.
                with suppress(PlatformTrouble):
                    if (wanted := self.folder.read_wanted()) is not None:
                        routes = self.folder.write_routes(wanted, observed)
                        self._digests.append((version, routes.digest))
                self._published = version
            self.say("writing", "")
        except BlockingIOError:
            asyncio.get_running_loop().call_later(_POLL_SECONDS, self._wake.set)
        except OSError as trouble:
            self.say("writing", f"what is there could not be written down: {trouble}")

    async def _tidy(self) -> None:
        while True:
            for name in (ROUTER, *self._instances):
                output.cap(self.folder.log_of(name))
            output.forget_gone(self.folder.logs, {ROUTER, *self._instances})
            await asyncio.sleep(_TIDY_SECONDS)

    async def _measure(self) -> None:
        """Snapshots of the stable release, for whoever judges a candidate later."""
        past = history.History(self.folder.history)
        while True:
            await asyncio.sleep(history.EVERY_SECONDS)
            if self._wanted is None or not _is_measured(self._wanted.stable):
                continue
            snapshot = await history.taken(self._wanted, self._observed(), (Role.STABLE,), now=time.monotonic())
            with suppress(OSError):
                past.append(snapshot)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.say(
                "itself", f"a part of the supervisor failed, restart it with towpath down and towpath up: {error!r}"
            )


def _fresh(name: str, group: Group, component: str) -> ObservedInstance:
    return ObservedInstance(
        name=name,
        component=component,
        generation=group.generation,
        version=group.release.version,
        drain_seconds=group.components[component].drain_seconds,
    )


def _is_measured(group: Group | None) -> bool:
    return group is not None and any(group.components[name].metrics for name in group.replicas)


def log(line: str) -> None:
    """One line for people; that the disk is full must not end the supervisor."""
    with suppress(OSError):
        sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
        sys.stderr.flush()
