"""Which platform an environment runs on, as it was said when it was last prepared.

The guard and the command line meet environments without any configuration at hand, so what leads to a cluster is kept
beside the environment's lock: names and an address, never a credential. Those stay in the user's kubeconfig.
"""

import os
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.adapters.databases import local_database_of
from tasks.adapters.grounds import Ground
from tasks.adapters.platforms.kubernetes.databases import ClusterDatabase
from tasks.adapters.platforms.kubernetes.platform import KubernetesPlatform
from tasks.adapters.platforms.kubernetes.preflight import must_be_able
from tasks.adapters.platforms.kubernetes.requests import PATIENCE_SECONDS, Cluster
from tasks.adapters.platforms.local.platform import LocalPlatform
from tasks.adapters.state import write_atomically
from tasks.core.database import Database
from tasks.core.delivery import DeliverySettings
from tasks.core.delivery_settings import ClusterSettings
from tasks.core.platform import Platform, PlatformTrouble
from tasks.core.release import Release

_FILE = "cluster.json"


class Whereabouts(BaseModel):
    """What leads to an environment in a cluster; `kubeconfig` is empty for the client's own default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context: str
    namespace: str
    url: str
    kubeconfig: str = ""


def platform_of(ground: Ground, *, patience_seconds: float = PATIENCE_SECONDS) -> LocalPlatform | KubernetesPlatform:
    """As it was prepared; the local one where nothing else was said. A cluster that is away is asked again for so long.
    Raises PlatformTrouble."""
    try:
        read = (ground.folder / _FILE).read_bytes()
    except FileNotFoundError:
        return LocalPlatform(ground.state, ground.target)
    try:
        return _in_cluster(ground, Whereabouts.model_validate_json(read), patience_seconds)
    except ValidationError as broken:
        raise PlatformTrouble(f"{ground.folder / _FILE} cannot be read: prepare {ground.environment} anew") from broken


async def prepare(ground: Ground, delivery: DeliverySettings) -> Platform:
    """Make the environment ready for its first change, or see that it still is. Raises PlatformTrouble."""
    wanted = delivery.environments[ground.environment]
    if wanted.cluster is None or delivery.platform == "local":
        _refuse_another(ground, _FILE)
        local = LocalPlatform(ground.state, ground.target)
        local.prepare(ground.environment, wanted.port)
        return local
    _refuse_another(ground, "wanted.json")
    known = _whereabouts(wanted.cluster)
    platform = _in_cluster(ground, known)
    await must_be_able(platform.cluster)
    await platform.begin()
    write_atomically(ground.folder / _FILE, known.model_dump_json(indent=1) + "\n", mode=0o600)
    return platform


async def preview_of(ground: Ground, delivery: DeliverySettings, release: Release) -> tuple[str, ...]:
    """What the release would change there, before anything is prepared. Raises PlatformTrouble."""
    wanted = delivery.environments[ground.environment].cluster
    if wanted is None or delivery.platform == "local":
        return ()
    return await _in_cluster(ground, _whereabouts(wanted)).preview(release)


def _whereabouts(place: ClusterSettings) -> Whereabouts:
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
    cluster = Cluster(known.context, known.namespace, known.kubeconfig or None, patience_seconds)
    return KubernetesPlatform(
        ground.state, Path(ground.folder), ground.target, ground.environment, cluster, url=known.url
    )


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
