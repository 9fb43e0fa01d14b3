"""What Towpath keeps of an environment in its namespace: its state (a ConfigMap), each release's manifests (Secrets).

The state is only ever replaced as it was read, so that of two who change it at once one is told. Manifests may hold
what a team put into them, so they lie in Secrets, packed, and only those of releases that are there are kept.
"""

import base64
import gzip
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from tasks.adapters.platforms.kubernetes.requests import Cluster, Conflict
from tasks.core.cluster.beside import ENVIRONMENT, OWNER, label
from tasks.core.cluster.documents import Identity
from tasks.core.cluster.state import ClusterState, Manifests
from tasks.core.platform import PlatformTrouble
from tasks.core.wanted import Wanted

_TRIES = 5
_KEY = "state"
_MANIFESTS = "towpath-manifests-"
# etcd takes no more than 1.5 MiB, and a Secret's data is base64.
_MOST_BYTES = 1_000_000


def _state_name(target: str, environment: str) -> str:
    return f"towpath-{label(target).lower()}-{label(environment).lower()}"


class Keeping:
    """The kept things of one environment."""

    def __init__(self, cluster: Cluster, target: str, environment: str) -> None:
        self._cluster = cluster
        self._labels = {OWNER: label(target), ENVIRONMENT: label(environment)}
        self._where = Identity("v1", "ConfigMap", cluster.namespace, _state_name(target, environment))

    async def read(self) -> ClusterState | None:
        found = await self._cluster.read(self._where)
        return None if found is None else self._understood(found)

    async def begin(self) -> None:
        """An environment in which nothing was ever put, unless there is one."""
        if await self._cluster.read(self._where) is None:
            try:
                await self._cluster.create(self._document(ClusterState(wanted=Wanted(port=0)), None))
            except Conflict:
                return

    async def change(self, change: Callable[[ClusterState], ClusterState]) -> ClusterState:
        """One change of the state as it is now. Raises what `change` raises, and PlatformTrouble."""
        for _ in range(_TRIES):
            found = await self._cluster.read(self._where)
            if found is None:
                raise PlatformTrouble(
                    f"{self._where} is gone from {self._cluster.namespace}: nothing was ever put there"
                )
            changed = change(self._understood(found))
            try:
                await self._cluster.replace(self._document(changed, found))
            except Conflict:
                continue
            return changed
        raise PlatformTrouble(f"{self._where} is changed by somebody else all the time: look who else delivers there")

    def _understood(self, found: dict[str, Any]) -> ClusterState:
        try:
            return ClusterState.model_validate_json((found.get("data") or {}).get(_KEY, ""))
        except ValidationError as broken:
            said = str(broken).splitlines()[0]
            raise PlatformTrouble(f"{self._where} cannot be read ({said}): look at it, then delete it") from broken

    def _document(self, state: ClusterState, before: dict[str, Any] | None) -> dict[str, Any]:
        metadata = {"name": self._where.name, "namespace": self._where.namespace, "labels": self._labels}
        if before is not None:
            metadata = {**before["metadata"], "labels": self._labels}
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {_KEY: state.model_dump_json(indent=1)},
        }

    async def keep_manifests(self, digest: str, manifests: Manifests) -> None:
        """Written once for each release; the same again is no change."""
        packed = base64.b64encode(gzip.compress(manifests.model_dump_json().encode(), mtime=0)).decode()
        if len(packed) > _MOST_BYTES:
            raise PlatformTrouble(
                f"the manifests of one release are {len(packed)} bytes packed, and a Secret takes 1 MB"
            )
        document = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": _manifests_name(digest), "labels": self._labels},
            "data": {"manifests": packed},
        }
        await self._cluster.apply(document, force=True)

    async def read_manifests(self, digest: str) -> Manifests:
        found = await self._cluster.read(Identity("v1", "Secret", self._cluster.namespace, _manifests_name(digest)))
        if found is None:
            raise PlatformTrouble(f"the manifests of release {digest[:19]} are gone from {self._cluster.namespace}")
        packed = base64.b64decode(found["data"]["manifests"])
        return Manifests.model_validate_json(gzip.decompress(packed))

    async def forget_manifests(self, kept: frozenset[str]) -> None:
        """Those of releases that are not there any more."""
        names = {_manifests_name(digest) for digest in kept}
        for each in await self._cluster.list("v1", "Secret", labels=self._labels):
            name = each["metadata"]["name"]
            if name.startswith(_MANIFESTS) and name not in names:
                await self._cluster.delete(Identity("v1", "Secret", self._cluster.namespace, name))


def _manifests_name(digest: str) -> str:
    return f"{_MANIFESTS}{digest.removeprefix('sha256:')[:24]}"
