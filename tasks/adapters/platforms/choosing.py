"""Which platform an environment runs on, as it was said when it was last prepared, and where its safekeeping lies.

The guard and the command line meet environments without any configuration at hand, so what leads to a cluster is kept
in the environment's folder: names and an address, never a credential. Those stay in the user's kubeconfig.
"""

import os
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.adapters.databases import local_database_of
from tasks.adapters.grounds import Ground
from tasks.adapters.local_safekeeping import local_safekeeping
from tasks.adapters.platforms.kubernetes.databases import ClusterDatabase
from tasks.adapters.platforms.kubernetes.keeping import environments_in
from tasks.adapters.platforms.kubernetes.leasing import Watcher
from tasks.adapters.platforms.kubernetes.locking import ClusterLock
from tasks.adapters.platforms.kubernetes.platform import KubernetesPlatform
from tasks.adapters.platforms.kubernetes.preflight import must_be_able
from tasks.adapters.platforms.kubernetes.promising import ClusterPromise
from tasks.adapters.platforms.kubernetes.recorded import ClusterLedger
from tasks.adapters.platforms.kubernetes.requests import PATIENCE_SECONDS, Cluster
from tasks.adapters.platforms.local.platform import LocalPlatform
from tasks.adapters.state import write_atomically
from tasks.core.database import Database
from tasks.core.delivery import DeliverySettings
from tasks.core.platform import Platform, PlatformTrouble
from tasks.core.release import Release
from tasks.core.safekeeping import Safekeeping

_FILE = "cluster.json"


class Whereabouts(BaseModel):
    """What leads to an environment in a cluster; `kubeconfig` is empty for the client's own default. `is_met` when it
    was found in the cluster: the context is this machine's, whatever others call theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context: str
    namespace: str
    url: str
    kubeconfig: str = ""
    is_met: bool = False


def platform_of(ground: Ground, *, patience_seconds: float = PATIENCE_SECONDS) -> LocalPlatform | KubernetesPlatform:
    """As it was prepared; the local one where nothing else was said. A cluster that is away is asked again for so long.
    Raises PlatformTrouble."""
    known = whereabouts_of(ground)
    if known is None:
        return LocalPlatform(ground.state, ground.target)
    return _in_cluster(ground, known, patience_seconds)


def safekeeping_of(
    ground: Ground, watcher: Watcher | None = None, *, patience_seconds: float = PATIENCE_SECONDS
) -> Safekeeping:
    """Beside what runs: in the home for the local platform, else in the cluster. `watcher` remembers what it has seen
    of others there, for whoever looks more than once. Raises PlatformTrouble."""
    known = whereabouts_of(ground)
    if known is None:
        return local_safekeeping(ground)
    return _kept_in(_cluster_of(known, patience_seconds), ground, watcher or Watcher())


def safekeeping_for(ground: Ground, delivery: DeliverySettings) -> Safekeeping:
    """Of an environment that this home may never have delivered to, as others may have. Raises PlatformTrouble."""
    known = _wanted(ground, delivery)
    if known is None:
        return local_safekeeping(ground)
    return _kept_in(_cluster_of(known, PATIENCE_SECONDS), ground, Watcher())


async def must_be_deliverable(ground: Ground, delivery: DeliverySettings) -> None:
    """Seen before anything is changed. Raises PlatformTrouble."""
    known = _wanted(ground, delivery)
    _refuse_another(ground, _FILE if known is None else "wanted.json")
    if known is not None:
        await must_be_able(_cluster_of(known, PATIENCE_SECONDS))


def _kept_in(cluster: Cluster, ground: Ground, watcher: Watcher) -> Safekeeping:
    lock = ClusterLock(cluster, ground, watcher)
    return Safekeeping(lock, ClusterPromise(cluster, ground, lock), ClusterLedger(cluster, ground))


def whereabouts_of(ground: Ground) -> Whereabouts | None:
    """Where in a cluster it lies, None where it is of this machine. Raises PlatformTrouble."""
    try:
        return Whereabouts.model_validate_json((ground.folder / _FILE).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as broken:
        raise PlatformTrouble(f"{ground.folder / _FILE} cannot be read: prepare {ground.environment} anew") from broken


async def meet(state: Path, context: str, namespace: str, *, kubeconfig: str) -> tuple[Ground, ...]:
    """Make this home know every environment of a namespace that any home delivered to. Raises PlatformTrouble."""
    cluster = Cluster(context, namespace, kubeconfig or None)
    met: list[Ground] = []
    for about in await environments_in(cluster):
        ground = Ground(state, about.target, about.environment)
        where = Whereabouts(context=context, namespace=namespace, url=about.url, kubeconfig=kubeconfig, is_met=True)
        if (known := whereabouts_of(ground)) is None or known.is_met:
            _refuse_another(ground, "wanted.json")
            _note_whereabouts(ground, where)
        met.append(ground)
    return tuple(met)


def _note_whereabouts(ground: Ground, where: Whereabouts) -> None:
    if whereabouts_of(ground) != where:
        write_atomically(ground.folder / _FILE, where.model_dump_json(indent=1) + "\n", mode=0o600)


async def prepare(ground: Ground, delivery: DeliverySettings) -> Platform:
    """Make the environment ready for its first change, or see that it still is. Raises PlatformTrouble."""
    known = _wanted(ground, delivery)
    if known is None:
        local = LocalPlatform(ground.state, ground.target)
        local.prepare(ground.environment, delivery.environments[ground.environment].port)
        return local
    await _refuse_unfinished_elsewhere(ground, known)
    platform = _in_cluster(ground, known)
    await platform.begin()
    _note_whereabouts(ground, known)
    return platform


async def _refuse_unfinished_elsewhere(ground: Ground, known: Whereabouts) -> None:
    """What is under way in another place would be out of the guard's sight."""
    before = whereabouts_of(ground)
    if before is None or (before.context, before.namespace) == (known.context, known.namespace):
        return
    if await safekeeping_of(ground).promise.is_there():
        raise PlatformTrouble(
            f"{ground.environment} moves to {known.namespace} while a change is under way in {before.namespace}: "
            "wait for its end"
        )


async def preview_of(ground: Ground, delivery: DeliverySettings, release: Release) -> tuple[str, ...]:
    """What the release would change there, before anything is prepared. Raises PlatformTrouble."""
    known = _wanted(ground, delivery)
    return () if known is None else await _in_cluster(ground, known).preview(release)


def _wanted(ground: Ground, delivery: DeliverySettings) -> Whereabouts | None:
    """As the delivery says; but the context is this machine's own where the same namespace was met by it."""
    said = delivery.environments.get(ground.environment)
    place = said.cluster if said else None
    if place is None or delivery.platform == "local":
        return None
    met = whereabouts_of(ground)
    if met is not None and met.is_met and met.namespace == place.namespace:
        return met.model_copy(update={"url": place.url.rstrip("/")})
    return Whereabouts(
        context=place.context,
        namespace=place.namespace,
        url=place.url.rstrip("/"),
        kubeconfig=os.environ.get("KUBECONFIG", ""),
    )


def _refuse_another(ground: Ground, file: str) -> None:
    """What runs on one platform is not seen by the other, which would leave it behind."""
    if (ground.folder / file).exists():
        other = "kubernetes" if file == _FILE else "local"
        raise PlatformTrouble(
            f"{ground.environment} of {ground.target} runs on the platform {other}: give the new one another name,"
            f" or move {ground.folder} away when nothing of it runs any more"
        )


def _in_cluster(ground: Ground, known: Whereabouts, patience_seconds: float = PATIENCE_SECONDS) -> KubernetesPlatform:
    cluster = _cluster_of(known, patience_seconds)
    return KubernetesPlatform(ground, cluster, ClusterLock(cluster, ground, Watcher()), url=known.url)


def _cluster_of(known: Whereabouts, patience_seconds: float) -> Cluster:
    return Cluster(known.context, known.namespace, known.kubeconfig or None, patience_seconds)


def database_of(delivery: DeliverySettings, release: Release, ground: Ground) -> Database | None:
    """The database that the release uses in the environment; None when the target declares none."""
    if delivery.database is None:
        return None
    platform = platform_of(ground)
    if not isinstance(platform, KubernetesPlatform):
        return local_database_of(delivery, release, ground)
    part = platform.part_of(release, delivery.database.component)
    running = partial(platform.stable_part, delivery.database.component)
    return ClusterDatabase(delivery.database, platform.cluster, ground.environment, part, ground.state, running)
