"""Whether a cluster can be delivered to at all, asked before anything is changed there."""

import asyncio
from collections.abc import Iterable

from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.core.cluster.documents import Document
from tasks.core.platform import PlatformTrouble

# group, resource, subresource, verbs: what a delivery does, and nothing that it does not.
NEEDED = (
    ("apps", "deployments", "", ("get", "list", "create", "patch", "delete")),
    ("", "services", "", ("get", "create", "patch", "delete")),
    ("", "configmaps", "", ("get", "list", "create", "update", "patch", "delete")),
    ("coordination.k8s.io", "leases", "", ("get", "create", "update")),
    ("", "secrets", "", ("get", "list", "create", "patch", "delete")),
    ("", "pods", "", ("get", "list")),
    ("", "pods", "log", ("get",)),
    ("", "pods", "proxy", ("get",)),
    ("", "events", "", ("list",)),
    ("batch", "jobs", "", ("get", "create", "delete")),
)
_OLDEST = (1, 22)


async def must_be_able(cluster: Cluster) -> None:
    """Reachable, new enough, the namespace there, and our rights in it. Raises PlatformTrouble with all that lacks."""
    version = await cluster.version()
    if _parts(version) < _OLDEST:
        raise PlatformTrouble(f"the cluster is {version}, and server-side apply needs {'.'.join(map(str, _OLDEST))}")
    asked = [(group, resource, part, verb) for group, resource, part, verbs in NEEDED for verb in verbs]
    allowed = await asyncio.gather(*(cluster.may(verb, group, resource, part) for group, resource, part, verb in asked))
    lacking = [
        f"{verb} {resource}{f'/{part}' if part else ''}"
        for (_, resource, part, verb), may in zip(asked, allowed, strict=True)
        if not may
    ]
    if lacking:
        raise PlatformTrouble(_not_allowed(cluster, lacking))
    if not await cluster.has_namespace():
        raise PlatformTrouble(f"there is no namespace {cluster.namespace} in {cluster.context}: make it first")


async def must_take(cluster: Cluster, documents: Iterable[Document]) -> None:
    """Every kind is known, and we may create and change objects of it. Raises PlatformTrouble with all that lacks.

    Asked before the first is applied, since half of a release is worse than none.
    """
    kinds = sorted({(str(each["apiVersion"]), str(each["kind"])) for each in documents})
    plurals = [await cluster.plural_of(version, kind) for version, kind in kinds]
    asked = [
        (version.rpartition("/")[0], plural, verb)
        for (version, _), plural in zip(kinds, plurals, strict=True)
        for verb in ("create", "patch")
    ]
    allowed = await asyncio.gather(*(cluster.may(verb, group, plural) for group, plural, verb in asked))
    lacking = [f"{verb} {plural}" for (_, plural, verb), may in zip(asked, allowed, strict=True) if not may]
    if lacking:
        raise PlatformTrouble(_not_allowed(cluster, lacking))


def _not_allowed(cluster: Cluster, lacking: Iterable[str]) -> str:
    return f"context {cluster.context} may not {', '.join(lacking)} in {cluster.namespace}: bind a Role that allows it"


def _parts(version: str) -> tuple[int, ...]:
    found = version.lstrip("v").split(".")[:2]
    return tuple(int("".join(letter for letter in each if letter.isdigit()) or 0) for each in found)
