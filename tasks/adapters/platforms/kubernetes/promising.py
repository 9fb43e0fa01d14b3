"""The intent of a change as a ConfigMap in the environment's namespace, and when a guard elsewhere must keep it.

The flow's own clock is worth nothing on another machine. So its Lease says how long the change may still take, as a
number of seconds, and its silence is measured by whoever watches.
"""

from typing import Any

from pydantic import ValidationError

from tasks.adapters.grounds import Ground
from tasks.adapters.platforms.kubernetes.locking import ClusterLock
from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.core.cluster.documents import Identity
from tasks.core.cluster.kept_names import intent_name, kept_labels
from tasks.core.intent import Intent, why_undo_watched
from tasks.core.platform import Permit

_KEY = "intent"


class ClusterPromise:
    """The promise of one environment."""

    def __init__(self, cluster: Cluster, ground: Ground, lock: ClusterLock) -> None:
        self._cluster, self._lock, self._environment = cluster, lock, ground.environment
        self._labels = kept_labels(ground.target, ground.environment, "intent")
        name = intent_name(ground.target, ground.environment)
        self._where = Identity("v1", "ConfigMap", cluster.namespace, name)

    async def write(self, intent: Intent) -> None:
        await self._lock.must_hold(Permit(self._environment, intent.token))
        metadata = {"name": self._where.name, "namespace": self._where.namespace, "labels": self._labels}
        data = {_KEY: intent.model_dump_json(indent=1)}
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        await self._cluster.apply(document, force=True)

    async def read(self) -> Intent | None:
        return _understood(await self._cluster.read(self._where))

    async def is_there(self) -> bool:
        return await self._cluster.read(self._where) is not None

    async def why_undo(self, intent: Intent) -> str:
        leased, silent_seconds = await self._lock.watched()
        # NOTE: this very guard took it and could not finish: nobody else may, and nothing is to be waited for.
        if leased.token != intent.token and self._lock.has_taken(leased):
            return "its flow gave no sign of life"
        left = leased.left_seconds if leased.token == intent.token else None
        return why_undo_watched(intent, silent_seconds=silent_seconds, left_seconds=left)

    async def forget(self, permit: Permit) -> None:
        await self._lock.must_hold(permit)
        await self._cluster.delete(self._where)


def _understood(found: dict[str, Any] | None) -> Intent | None:
    try:
        return None if found is None else Intent.model_validate_json((found.get("data") or {}).get(_KEY, ""))
    except ValidationError:
        return None
