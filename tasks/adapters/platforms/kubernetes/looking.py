"""What an environment in a cluster really is: its pods, why those that are not ready are not, and what they count."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from tasks.adapters.exposition import Unreadable, parsed
from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.core.cluster.beside import COMPONENT, ENVIRONMENT, GENERATION, OWNER, ROLE, VERSION, label, name_in
from tasks.core.cluster.documents import main_container
from tasks.core.cluster.state import Placed
from tasks.core.cluster.trouble import Trouble, another_image, is_ready, trouble_of, trouble_of_deployment
from tasks.core.platform import Instance, PlatformTrouble, Role
from tasks.core.prose import last_line
from tasks.core.scrapes import Reading, Scrape

_SCRAPE_SECONDS = 2.0
Told = Mapping[str, Any]


class Looking:
    """Questions about one environment."""

    def __init__(self, cluster: Cluster, target: str, environment: str) -> None:
        self._cluster = cluster
        self._labels = {OWNER: label(target), ENVIRONMENT: label(environment)}

    async def pods(self) -> list[dict[str, Any]]:
        """Every pod of the environment's components."""
        return [pod for pod in await self._cluster.list("v1", "Pod", labels=self._labels) if ROLE in labels_of(pod)]

    async def instances(self, placed: Placed, role: Role, pods: list[dict[str, Any]]) -> list[Instance]:
        """The pods of one release in one role, and a line for a component that has none and should."""
        found: list[Instance] = []
        for component, wanted in sorted(placed.group.replicas.items()):
            own = [pod for pod in pods if is_of(pod, component, role, placed.group.generation)]
            found += [await self._instance(pod, component, role, placed) for pod in own]
            if not own and wanted:
                trouble = await self._why_none(component, role)
                found.append(_absent(component, role, placed.group.release.version, trouble))
        return found

    async def _instance(self, pod: Told, component: str, role: Role, placed: Placed) -> Instance:
        """Ready is what says so and runs the very image of the release."""
        container = main_container(placed.parts.components[component])
        trouble = another_image(pod, str(container["name"]), str(container["image"]))
        if not trouble.words and not is_ready(pod):
            trouble = await self._why(pod)
        return Instance(
            name=str(pod["metadata"]["name"]),
            component=component,
            role=role,
            version=placed.group.release.version,
            is_ready=is_ready(pod) and not trouble.words,
            restarts=sum(int(each.get("restartCount") or 0) for each in pod["status"].get("containerStatuses") or ()),
            note=trouble.words,
            is_hopeless=trouble.is_hopeless,
        )

    async def _why(self, pod: Told) -> Trouble:
        name = str(pod["metadata"]["name"])
        trouble = trouble_of(pod, await self._events(name))
        if "crashes" not in trouble.words:
            return trouble
        last = last_line(await self._cluster.log_of(name, previous=True))
        return Trouble(f"{trouble.words}; last words: {last[:200]}", trouble.is_hopeless) if last else trouble

    async def _events(self, pod: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with suppress(PlatformTrouble):
            found = await self._cluster.list("v1", "Event", fields=f"involvedObject.name={pod}")
        return sorted(found, key=lambda event: str(event.get("lastTimestamp") or ""))

    async def _why_none(self, component: str, role: Role) -> Trouble:
        name = name_in(component, role)
        found = await self._cluster.list("apps/v1", "Deployment", labels=self._labels)
        deployment = next((each for each in found if each["metadata"]["name"] == name), None)
        return trouble_of_deployment(deployment) if deployment else Trouble(f"Deployment {name} is not there")

    async def scrapes(self, placed: Placed, role: Role, pods: list[dict[str, Any]]) -> list[Scrape]:
        """What each instance of the components that are judged counts, all asked at once."""
        asked = [
            self._scrape(pod, placed, component)
            for component, settings in placed.group.components.items()
            if settings.metrics is not None
            for pod in pods
            if is_of(pod, component, role, placed.group.generation)
        ]
        return list(await asyncio.gather(*asked))

    async def _scrape(self, pod: Told, placed: Placed, component: str) -> Scrape:
        settings, name = placed.group.components[component].metrics, str(pod["metadata"]["name"])
        assert settings is not None
        port = port_of(placed, component)
        reading: Reading | None = None
        with suppress(PlatformTrouble, Unreadable):
            body = await self._cluster.metrics_of(name, port, settings.path, seconds=_SCRAPE_SECONDS)
            reading = parsed(body.decode("utf-8", "replace"), settings)
        states = pod["status"].get("containerStatuses") or ()
        restarts = sum(int(each.get("restartCount") or 0) for each in states)
        return Scrape(name, reading, restarts=restarts, started=_started(states))


def labels_of(told: Told) -> Mapping[str, str]:
    return (told.get("metadata") or {}).get("labels") or {}


def is_of(pod: Told, component: str, role: Role, generation: int) -> bool:
    labels = labels_of(pod)
    wanted = {COMPONENT: component, ROLE: role.value, GENERATION: str(generation)}
    return wanted.items() <= labels.items() and VERSION in labels


def port_of(placed: Placed, component: str) -> int:
    """Where the component's container listens, as its manifest says."""
    ports = main_container(placed.parts.components[component]).get("ports") or ()
    if not ports:
        raise PlatformTrouble(
            f"the container of {component} declares no containerPort: its metrics cannot be asked for"
        )
    return int(ports[0]["containerPort"])


def _absent(component: str, role: Role, version: str, trouble: Trouble) -> Instance:
    note = trouble.words or "no pod yet"
    name = name_in(component, role)
    return Instance(name, component, role, version, is_ready=False, note=note, is_hopeless=trouble.is_hopeless)


def _started(states: Any) -> float | None:
    """On this machine's own clock, by which snapshots are timed."""
    for each in states:
        if began := ((each.get("state") or {}).get("running") or {}).get("startedAt"):
            return time.monotonic() - max(0.0, time.time() - datetime.fromisoformat(began).timestamp())
    return None
