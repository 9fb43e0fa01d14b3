"""Whether a cluster can be delivered to at all, asked before anything is changed there."""

import asyncio

from tasks.adapters.platforms.kubernetes.requests import Cluster
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
        raise PlatformTrouble(
            f"context {cluster.context} may not {', '.join(lacking)} in {cluster.namespace}: bind a Role that allows it"
        )
    if not await cluster.has_namespace():
        raise PlatformTrouble(f"there is no namespace {cluster.namespace} in {cluster.context}: make it first")


def _parts(version: str) -> tuple[int, ...]:
    found = version.lstrip("v").split(".")[:2]
    return tuple(int("".join(letter for letter in each if letter.isdigit()) or 0) for each in found)
