"""Whether the gateway follows: a route that was applied is only a wish until its controller says it has taken it up."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.core.cluster.documents import ROUTE, Document, identity_of
from tasks.core.cluster.state import Surroundings
from tasks.core.cluster.traffic import share_in
from tasks.core.platform import PlatformTrouble

_FOLLOW_SECONDS, _LOOK_SECONDS = 15.0, 0.05


async def until_routed(cluster: Cluster, documents: Iterable[Document]) -> None:
    """Until every HTTPRoute among them is accepted as it is now. Raises PlatformTrouble that says what is amiss."""
    for document in documents:
        if document["kind"] == ROUTE:
            await _until_accepted(cluster, document)


async def _until_accepted(cluster: Cluster, document: Document) -> None:
    wanted, deadline = identity_of(document, cluster.namespace), time.monotonic() + _FOLLOW_SECONDS
    while True:
        found = await cluster.read(wanted)
        if found is None:
            raise PlatformTrouble(f"{wanted} is gone: somebody deletes what was applied")
        said = _said_of(found)
        if said == "":
            return
        if time.monotonic() >= deadline:
            raise PlatformTrouble(f"{wanted} is not followed after {_FOLLOW_SECONDS:.0f} s: {said}")
        await asyncio.sleep(_LOOK_SECONDS)


def _said_of(route: dict[str, Any]) -> str:
    """Empty when every parent has taken the route up as it is, else what the first that has not says."""
    parents = (route.get("status") or {}).get("parents") or ()
    if not parents:
        return "no gateway has taken it up: does its parentRef name one that is there?"
    generation = int(route["metadata"]["generation"])
    for parent in parents:
        for condition in parent.get("conditions") or ():
            if int(condition.get("observedGeneration") or 0) < generation:
                return "its controller has not looked at it yet"
            if condition.get("status") != "True" and condition.get("type") in ("Accepted", "ResolvedRefs"):
                return f"{condition.get('reason')}: {condition.get('message')}"
    return ""


async def routed_percent(cluster: Cluster, where: Surroundings) -> float | None:
    """The candidate's share as the first HTTPRoute in the cluster has it; None where traffic goes another way."""
    leading = where.candidate or where.stable
    if leading is None:
        return None
    for route in leading.parts.routes:
        if route["kind"] == ROUTE and (found := await cluster.read(identity_of(route, cluster.namespace))) is not None:
            return share_in(found, leading.parts.services)
    return None
