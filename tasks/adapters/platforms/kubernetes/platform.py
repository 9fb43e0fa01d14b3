"""The Kubernetes platform as flows, the guard and the command line see it.

Every change is first written into the environment's state in the cluster, and then made so; whoever comes after a death
in between reads the state and makes it so again. Traffic is taken from a candidate by its route alone, before anything
else is touched. A stable release is replaced under the cover of the candidate, which has the traffic meanwhile.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from tasks.adapters.artifacts import artifact_folder
from tasks.adapters.grounds import Ground
from tasks.adapters.platforms.kubernetes.keeping import About, Keeping
from tasks.adapters.platforms.kubernetes.looking import Looking
from tasks.adapters.platforms.kubernetes.preflight import must_take
from tasks.adapters.platforms.kubernetes.recorded import keep_build
from tasks.adapters.platforms.kubernetes.requests import MANAGER, Cluster
from tasks.adapters.platforms.kubernetes.rolling import until_rolled_out
from tasks.adapters.platforms.kubernetes.routing import routed_percent, until_routed
from tasks.core.cluster.artifact import ClusterArtifact
from tasks.core.cluster.beside import name_in, owned, told_to
from tasks.core.cluster.documents import Document, Identity, ManifestsRefused, Part, identity_of, parts_of
from tasks.core.cluster.jobs import with_variables
from tasks.core.cluster.state import (
    ClusterState,
    Manifests,
    Placed,
    Surroundings,
    kept_in,
    objects_of,
    pinned_parts,
    routes_in,
    to_delete,
)
from tasks.core.cluster.traffic import must_split
from tasks.core.counters import Snapshot
from tasks.core.platform import EnvironmentStatus, Permit, PlatformTrouble, Role
from tasks.core.release import Release
from tasks.core.safekeeping import Lock
from tasks.core.scrapes import snapshot_of
from tasks.core.wanted import Group, Wanted, promoted, scaled, weighted, with_candidate, without_candidate

# A gateway says that it follows a moment before its last worker does; what goes before that would be missed.
_SETTLE_SECONDS = 1.0


class KubernetesPlatform:
    """One environment of one target in a cluster, changed by whoever has its lock."""

    def __init__(self, ground: Ground, cluster: Cluster, lock: Lock, *, url: str) -> None:
        self._ground, self._lock = ground, lock
        self._state, self._target, self._environment = ground.state, ground.target, ground.environment
        self.cluster, self._url = cluster, url
        about = About(target=self._target, environment=self._environment, url=url)
        self._keeping = Keeping(cluster, about)
        self._looking = Looking(cluster, self._target, self._environment)
        self._known: dict[str, Manifests] = {}

    async def begin(self) -> None:
        """Make the environment known in the cluster, unless it is."""
        await self._keeping.begin()

    def part_of(self, release: Release, component: str) -> Part:
        """A component of a release, whose manifest other commands are run by. Raises PlatformTrouble."""
        part = self._fresh(release, _artifact(self._state, release)).parts.components[component]
        return with_variables(part, told_to(release, component))

    async def stable_part(self, component: str) -> Part:
        """The same of the release that runs, as the cluster itself keeps it. Raises PlatformTrouble."""
        where = await self._where(await self._keeping_state())
        if where.stable is None or component not in where.stable.parts.components:
            raise PlatformTrouble(f"no stable release in {self.cluster.namespace} has a component {component}")
        part = where.stable.parts.components[component]
        return with_variables(part, told_to(where.stable.group.release, component))

    @property
    def has_surroundings(self) -> bool:
        return True

    async def surround(self, permit: Permit, release: Release) -> None:
        """What the components need before they start, and its StatefulSets ready; nothing that gets traffic."""
        artifact = _artifact(self._state, release)
        await must_take(self.cluster, artifact.manifests_for(self._environment).documents)
        placed = self._fresh(release, artifact)
        documents = [owned(each, self._target, self._environment) for each in placed.parts.surroundings]
        names = {identity_of(each, self.cluster.namespace) for each in documents}
        await self._take_stock(permit, lambda known: known | names)
        for document in documents:
            await self.cluster.apply(document)
        sets = [each.name for each in sorted(names) if each.kind == "StatefulSet"]
        await until_rolled_out(self.cluster, "StatefulSet", sets)

    async def put(self, permit: Permit, release: Release, replicas: dict[str, int]) -> None:
        artifact = _artifact(self._state, release)
        manifests = artifact.manifests_for(self._environment)
        self._must_be_routed(release, artifact)
        await must_take(self.cluster, manifests.documents)
        await self._lock.must_hold(permit)
        await keep_build(self.cluster, self._ground, release.artifact)
        await self._keeping.keep_manifests(release.digest, manifests)
        state = await self._change(
            permit, lambda wanted: with_candidate(wanted, release, artifact.components, replicas)
        )
        await self._make(permit, await self._where(state))

    async def scale(self, permit: Permit, role: Role, replicas: dict[str, int]) -> None:
        await self._make(
            permit, await self._where(await self._change(permit, lambda wanted: scaled(wanted, role, replicas)))
        )

    async def set_weight(self, permit: Permit, candidate_percent: float) -> None:
        where = await self._where(await self._keeping_state())
        if candidate_percent > 0 and where.candidate is not None:
            await self._must_be_ready(where.candidate, Role.CANDIDATE)
        elif where.stable is not None:
            await self._mend_stable(permit, where)
        changed = await self._where(await self._change(permit, lambda wanted: weighted(wanted, candidate_percent)))
        await self._route(permit, changed)

    async def promote(self, permit: Permit) -> None:
        where = await self._where(await self._keeping_state())
        if where.candidate is None:
            raise PlatformTrouble("there is no candidate to promote: put one first")
        await self._must_be_ready(where.candidate, Role.CANDIDATE)
        # NOTE: told before the first Deployment is touched, so that whoever undoes this knows to put the old one back.
        await self._note(permit, is_promoting=True)
        await self._renew(permit, where.candidate)
        state = await self._change(permit, promoted)
        await self._route(permit, await self._where(state))
        await asyncio.sleep(_SETTLE_SECONDS)
        await self._make(permit, await self._where(state))
        await self._note(permit, is_promoting=False)

    async def remove(self, permit: Permit) -> None:
        where = await self._where(await self._keeping_state())
        await self._mend_stable(permit, where)
        state = await self._change(permit, without_candidate)
        changed = await self._where(state)
        await self._route(permit, changed)
        if where.candidate is not None:
            await asyncio.sleep(_SETTLE_SECONDS)
        await self._make(permit, changed)

    async def status(self, environment: str) -> EnvironmentStatus:
        state = await self._keeping.read()
        if state is None:
            return EnvironmentStatus(environment, self._url, None, None, 0.0, (), note="nothing was ever put here")
        where, pods = await self._where(state), await self._looking.pods()
        placed = [(role, each) for role, each in _roles(where) if each is not None]
        instances = [each for role, found in placed for each in await self._looking.instances(found, role, pods)]
        percent = await routed_percent(self.cluster, where)
        return EnvironmentStatus(
            environment=environment,
            url=self._url,
            stable=where.stable.group.release if where.stable else None,
            candidate=where.candidate.group.release if where.candidate else None,
            candidate_percent=where.percent if percent is None else percent,
            instances=tuple(instances),
            note="a promotion is under way" if state.is_promoting else "",
        )

    async def snapshot(self, environment: str) -> Snapshot:
        del environment
        where, pods = await self._where(await self._keeping_state()), await self._looking.pods()
        now = time.monotonic()
        arms = {role: await self._looking.scrapes(each, role, pods) if each else [] for role, each in _roles(where)}
        return snapshot_of(now, where.percent / 100, canary=arms[Role.CANDIDATE], stable=arms[Role.STABLE])

    async def recent(self, environment: str, seconds: float) -> tuple[Snapshot, ...]:
        """The cluster keeps no counters of the past; a Prometheus does, where one is configured."""
        del environment, seconds
        return ()

    async def preview(self, release: Release) -> tuple[str, ...]:
        """What putting the release would change, an object a line, by the cluster's own dry run."""
        state = await self._keeping.read() or ClusterState(wanted=Wanted(port=0))
        placed = self._fresh(release, _artifact(self._state, release))
        where = Surroundings(self._target, self._environment, self.cluster.namespace, placed, None, 0.0)
        lines = [await self._difference(each) for each in objects_of(where)]
        gone = to_delete(state.known(), kept_in(where)) if state.wanted.stable else ()
        return (*(line for line in lines if line), *(f"delete {each}" for each in gone if "-canary" not in each.name))

    def _fresh(self, release: Release, artifact: ClusterArtifact) -> Placed:
        """As it would be with nothing beside it."""
        group = Group(generation=0, release=release, components=artifact.components, replicas=dict(release.replicas))
        return self._placed(group, artifact.manifests_for(self._environment))

    def _must_be_routed(self, release: Release, artifact: ClusterArtifact) -> None:
        placed = self._fresh(release, artifact)
        try:
            must_split(placed.parts.routes, placed.parts.services)
        except ManifestsRefused as refused:
            raise PlatformTrouble(str(refused)) from refused

    async def _difference(self, document: Document) -> str:
        wanted = identity_of(document, self.cluster.namespace)
        before = await self.cluster.read(wanted)
        if before is None:
            return f"create {wanted}"
        after = await self.cluster.apply(document, dry_run=True)
        parts = ("spec", "data", "stringData")
        changed = [part for part in parts if before.get(part) != after.get(part)]
        return f"change {wanted}: {', '.join(changed)}" if changed else ""

    async def _keeping_state(self) -> ClusterState:
        state = await self._keeping.read()
        if state is None:
            raise PlatformTrouble(f"{self._environment} was never prepared in {self.cluster.namespace}")
        return state

    async def _change(self, permit: Permit, change: Callable[[Wanted], Wanted]) -> ClusterState:
        return await self._keep(permit, lambda state: state.model_copy(update={"wanted": change(state.wanted)}))

    async def _note(self, permit: Permit, *, is_promoting: bool) -> None:
        await self._keep(permit, lambda state: state.model_copy(update={"is_promoting": is_promoting}))

    async def _keep(self, permit: Permit, change: Callable[[ClusterState], ClusterState]) -> ClusterState:
        """A change of the environment's state, by whoever may change the environment and nobody else."""

        async def permitted() -> None:
            await self._lock.must_hold(permit)

        return await self._keeping.change(change, permitted=permitted)

    async def _where(self, state: ClusterState) -> Surroundings:
        wanted = state.wanted
        placed = {role: await self._placed_of(group) for role in Role if (group := wanted.group(role)) is not None}
        return Surroundings(
            self._target,
            self._environment,
            self.cluster.namespace,
            placed.get(Role.STABLE),
            placed.get(Role.CANDIDATE),
            wanted.candidate_percent,
        )

    async def _placed_of(self, group: Group) -> Placed:
        digest = group.release.digest
        if digest not in self._known:
            self._known[digest] = await self._keeping.read_manifests(digest)
        return self._placed(group, self._known[digest])

    def _placed(self, group: Group, manifests: Manifests) -> Placed:
        try:
            parts = parts_of(manifests.documents, group.components, self.cluster.namespace)
            return Placed(group, pinned_parts(parts, manifests.images))
        except ManifestsRefused as refused:
            raise PlatformTrouble(str(refused)) from refused

    async def _make(self, permit: Permit, where: Surroundings) -> None:
        """Apply everything, then delete what is not wanted any more. The inventory grows before and shrinks after."""
        documents, now = objects_of(where), kept_in(where)
        state = await self._take_stock(permit, lambda known: known | now)
        for document in documents:
            # NOTE: a flow that wakes up in the middle must not go on where the guard has been meanwhile.
            await self._lock.must_hold(permit)
            await self._apply(document, where.stable)
        for gone in to_delete(state.known(), now):
            await self._lock.must_hold(permit)
            await self.cluster.delete(gone)
        await self._take_stock(permit, lambda _: now)

    async def _apply(self, document: Document, stable: Placed | None) -> None:
        """And where a scaler owns how many there are, at least as many as the release wants: it takes its time."""
        made = await self.cluster.apply(document)
        if stable is None or document["kind"] != "Deployment" or "replicas" in document["spec"]:
            return
        name = str(document["metadata"]["name"])
        wanted = stable.group.replicas.get(name, 1)
        if int(made["spec"].get("replicas") or 0) < wanted:
            size = {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name},
                "spec": {"replicas": wanted},
            }
            # NOTE: by another manager, or the next apply, which says no number, would take it back to one.
            await self.cluster.apply(size, force=True, manager=f"{MANAGER}-size")

    async def _take_stock(
        self, permit: Permit, change: Callable[[frozenset[Identity]], frozenset[Identity]]
    ) -> ClusterState:
        def listed(state: ClusterState) -> ClusterState:
            known = sorted(change(state.known()))
            inventory = tuple((each.version, each.kind, each.namespace, each.name) for each in known)
            return state.model_copy(update={"inventory": inventory})

        return await self._keep(permit, listed)

    async def _route(self, permit: Permit, where: Surroundings) -> None:
        """The routes alone, until the gateway follows. A canary Ingress that is not wanted any more goes at once."""
        documents = [
            each for each in objects_of(where) if each["kind"] in {route["kind"] for route in routes_in(where)}
        ]
        names = {identity_of(each, where.namespace) for each in documents}
        await self._lock.must_hold(permit)
        state = await self._keeping_state()
        if names - state.known():
            # NOTE: before it is there, or nobody would know to delete it.
            state = await self._take_stock(permit, lambda known: known | names)
        for document in documents:
            await self.cluster.apply(document)
        for stale in [each for each in state.known() if each.kind == "Ingress" and each not in names]:
            await self.cluster.delete(stale)
        await until_routed(self.cluster, documents)

    async def _must_be_ready(self, placed: Placed, role: Role) -> None:
        """Raises PlatformTrouble unless each component that is to run has a ready pod."""
        instances = await self._looking.instances(placed, role, await self._looking.pods())
        for component, number in placed.group.replicas.items():
            if number and not any(each.is_ready for each in instances if each.component == component):
                raise PlatformTrouble(f"no pod of {component} {placed.group.release.version} is ready: wait for one")

    async def _renew(self, permit: Permit, candidate: Placed) -> None:
        """The stable Deployments made those of the candidate, which has the traffic until they are ready."""
        only = Surroundings(self._target, self._environment, self.cluster.namespace, candidate, None, 0.0)
        documents = [each for each in objects_of(only) if each["kind"] in ("Deployment", "Service")]
        await self._take_stock(
            permit, lambda known: known | {identity_of(each, self.cluster.namespace) for each in documents}
        )
        for document in documents:
            await self._apply(document, candidate)
        names = [name_in(name, Role.STABLE) for name in candidate.parts.components]
        await until_rolled_out(self.cluster, "Deployment", names)

    async def _mend_stable(self, permit: Permit, where: Surroundings) -> None:
        """After a promotion that was cut short the stable Deployments may be the candidate's already."""
        if where.stable is not None and (await self._keeping_state()).is_promoting:
            await self._renew(permit, where.stable)
            await self._note(permit, is_promoting=False)


def _roles(where: Surroundings) -> tuple[tuple[Role, Placed | None], ...]:
    return (Role.STABLE, where.stable), (Role.CANDIDATE, where.candidate)


def _artifact(state: Path, release: Release) -> ClusterArtifact:
    path = artifact_folder(state, release.artifact) / "artifact.json"
    try:
        return ClusterArtifact.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as broken:
        raise PlatformTrouble(
            f"what was built of {release.version} cannot be read ({path}): build it again"
        ) from broken
