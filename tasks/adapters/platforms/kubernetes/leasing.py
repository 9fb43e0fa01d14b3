"""One Lease of a namespace: read as a value, changed only as it was read, and watched by this process's own clock."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tasks.adapters.daemons import birth_of
from tasks.adapters.platforms.kubernetes.requests import Cluster, Conflict
from tasks.core.cluster.documents import Identity
from tasks.core.cluster.leases import DEAD_SECONDS, Leased, Sighting, leased_from, sighted
from tasks.core.platform import PlatformTrouble

_VERSION, _KIND = "coordination.k8s.io/v1", "Lease"
_TRIES = 8
Change = Callable[[dict[str, Any], Leased], dict[str, Any] | None]


class Watcher:
    """What a process has seen of Leases for as long as it watches them, and the name by which it takes them."""

    def __init__(self, process: str = "", *, wall: Callable[[], float] = time.time) -> None:
        self.process, self._wall = process or process_name(), wall
        self._seen: dict[tuple[str, str, str], Sighting] = {}

    def now(self) -> datetime:
        """As this machine's clock says, for people to read: no decision is made by it alone."""
        return datetime.fromtimestamp(self._wall(), UTC)

    def see(self, cluster: Cluster, name: str, sign: str) -> float:
        """How long the sign has been the last one, for all that was seen."""
        place = (cluster.context, cluster.namespace, name)
        self._seen[place] = sighted(self._seen.get(place), sign, time.monotonic())
        return self._seen[place].silent_seconds


def process_name() -> str:
    """By which a process knows what it has taken itself, and people whom to look for."""
    pid = os.getpid()
    return f"process {pid} ({birth_of(pid)}) of {os.environ.get('POD_NAME') or platform.node()}"


class Leasing:
    """One Lease, by name."""

    def __init__(self, cluster: Cluster, name: str, labels: Mapping[str, str], watcher: Watcher) -> None:
        self._cluster, self._labels, self._watcher = cluster, labels, watcher
        self._where = Identity(_VERSION, _KIND, cluster.namespace, name)

    async def read(self) -> Leased:
        """What it says now; nobody's when it was never there."""
        return self._understood(await self._cluster.read(self._where))

    async def watch(self) -> tuple[Leased, float]:
        """What it says, and for how long it has said just that to whoever watches here."""
        leased = await self.read()
        return leased, self._watcher.see(self._cluster, self._where.name, leased.sign)

    async def change(self, change: Change) -> Leased:
        """As `change` makes it of what is there; None leaves it. What it was before. Raises what `change` raises."""
        for _ in range(_TRIES):
            found = await self._cluster.read(self._where)
            leased = self._understood(found)
            changed = change(found or self._empty(), leased)
            try:
                if changed is not None:
                    await (self._cluster.replace(changed) if found else self._cluster.create(changed))
            except Conflict:
                continue
            return leased
        raise PlatformTrouble(f"{self._where} is changed by others all the time: look who else delivers there")

    def _understood(self, found: Mapping[str, Any] | None) -> Leased:
        try:
            return leased_from(found)
        except (ValueError, TypeError) as broken:
            raise PlatformTrouble(f"{self._where} cannot be read ({broken}): look at it, then delete it") from broken

    def _empty(self) -> dict[str, Any]:
        metadata = {"name": self._where.name, "namespace": self._where.namespace, "labels": dict(self._labels)}
        return {"apiVersion": _VERSION, "kind": _KIND, "metadata": metadata, "spec": {}}


def is_dead(silent_seconds: float) -> bool:
    return silent_seconds >= DEAD_SECONDS
