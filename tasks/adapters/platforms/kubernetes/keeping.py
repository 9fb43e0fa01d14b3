"""What Towpath keeps of an environment in its namespace: its state (a ConfigMap), each release's manifests (Secrets).

The state is only ever replaced as it was read, so that of two who change it at once one is told. It says by which names
the environment is known, so that whoever finds it knows what it has found. Manifests may hold what a team put into
them, so they lie in Secrets, packed, in as many places as there can be releases: nobody need look at any other Secret.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.adapters.platforms.kubernetes.packing import packed, unpacked
from tasks.adapters.platforms.kubernetes.requests import Cluster, Conflict
from tasks.core.cluster.documents import Identity
from tasks.core.cluster.kept_names import KEEPS, kept_labels, manifest_names, state_name
from tasks.core.cluster.state import ClusterState, Manifests
from tasks.core.platform import PlatformTrouble
from tasks.core.wanted import Wanted

_TRIES = 5
_KEY, _ABOUT, _DIGEST = "state", "about", "towpath.dev/release"


class About(BaseModel):
    """The names of an environment, as they were given."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    target: str
    environment: str
    url: str


async def environments_in(cluster: Cluster) -> tuple[About, ...]:
    """Every environment of the namespace. Raises PlatformTrouble."""
    found = await cluster.list("v1", "ConfigMap", labels={KEEPS: "state"})
    try:
        return tuple(About.model_validate_json((each.get("data") or {}).get(_ABOUT, "")) for each in found)
    except ValidationError as broken:
        names = ", ".join(str(each["metadata"]["name"]) for each in found)
        raise PlatformTrouble(f"one of {names} in {cluster.namespace} does not say what it is of") from broken


class Keeping:
    """The kept things of one environment."""

    def __init__(self, cluster: Cluster, about: About) -> None:
        self._cluster, self._about = cluster, about
        self._target, self._environment = about.target, about.environment
        self._where = Identity("v1", "ConfigMap", cluster.namespace, state_name(about.target, about.environment))

    async def read(self) -> ClusterState | None:
        found = await self._cluster.read(self._where)
        return None if found is None else self._understood(found)

    async def begin(self) -> None:
        """An environment in which nothing was ever put, unless there is one; known by the names it has now."""
        found = await self._cluster.read(self._where)
        try:
            if found is None:
                await self._cluster.create(self._document(ClusterState(wanted=Wanted(port=0)), None))
            elif (found.get("data") or {}).get(_ABOUT) != self._about.model_dump_json():
                await self._cluster.replace(self._document(self._understood(found), found))
        except Conflict:
            return

    async def change(
        self, change: Callable[[ClusterState], ClusterState], *, permitted: Callable[[], Awaitable[None]]
    ) -> ClusterState:
        """One change of the state as it is now. Raises what `permitted` raises, and PlatformTrouble."""
        for _ in range(_TRIES):
            found = await self._cluster.read(self._where)
            if found is None:
                raise PlatformTrouble(
                    f"{self._where} is gone from {self._cluster.namespace}: nothing was ever put there"
                )
            changed = change(self._understood(found))
            # NOTE: after the reading: whoever takes the right away from now on reads what is written here.
            await permitted()
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
        labels = kept_labels(self._target, self._environment, "state")
        metadata = {"name": self._where.name, "namespace": self._where.namespace, "labels": labels}
        if before is not None:
            metadata = {**before["metadata"], "labels": labels}
        data = {_KEY: state.model_dump_json(indent=1), _ABOUT: self._about.model_dump_json()}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

    async def keep_manifests(self, digest: str, manifests: Manifests) -> None:
        """Written over those of a release that is not there any more; the same again is no change."""
        state = await self.read()
        used = {group.release.digest for group in state.wanted.groups()} if state else set()
        places = {name: await self._digest_in(name) for name in manifest_names(self._target, self._environment)}
        own = next((name for name, kept in places.items() if kept == digest), "")
        free = own or next((name for name, kept in places.items() if kept not in used), "")
        if not free:
            raise PlatformTrouble(f"{self._where} knows of more releases than can be: look at it")
        document = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": free,
                "labels": kept_labels(self._target, self._environment, "manifests"),
                "annotations": {_DIGEST: digest},
            },
            "data": {"manifests": packed(manifests.model_dump_json(), "the manifests of one release")},
        }
        await self._cluster.apply(document, force=True)

    async def read_manifests(self, digest: str) -> Manifests:
        for name in manifest_names(self._target, self._environment):
            found = await self._secret(name)
            if found is not None and _digest_of(found) == digest:
                return Manifests.model_validate_json(unpacked(found["data"]["manifests"]))
        raise PlatformTrouble(f"the manifests of release {digest[:19]} are gone from {self._cluster.namespace}")

    async def _digest_in(self, name: str) -> str:
        found = await self._secret(name)
        return _digest_of(found) if found else ""

    async def _secret(self, name: str) -> dict[str, Any] | None:
        return await self._cluster.read(Identity("v1", "Secret", self._cluster.namespace, name))


def _digest_of(secret: dict[str, Any]) -> str:
    return str((secret["metadata"].get("annotations") or {}).get(_DIGEST) or "")
