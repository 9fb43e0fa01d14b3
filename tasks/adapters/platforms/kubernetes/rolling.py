"""Waiting until what was asked of Deployments and StatefulSets is all that runs, and no longer than that can help."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.core.cluster.documents import Identity
from tasks.core.cluster.trouble import Trouble, is_rolled_out, trouble_of, trouble_of_deployment
from tasks.core.platform import PlatformTrouble

_ROLL_SECONDS, _LOOK_SECONDS = 300.0, 0.5


async def until_rolled_out(cluster: Cluster, kind: str, names: Sequence[str]) -> None:
    """Raises PlatformTrouble that says which is not, and why."""
    deadline = time.monotonic() + _ROLL_SECONDS
    while True:
        found = {name: await cluster.read(Identity("apps/v1", kind, cluster.namespace, name)) for name in names}
        lacking = [name for name, each in found.items() if each is None or not is_rolled_out(each)]
        if not lacking:
            return
        trouble = await _first_trouble(cluster, [found[name] for name in lacking])
        if trouble.is_hopeless or time.monotonic() >= deadline:
            why = trouble.words or f"not within {_ROLL_SECONDS:.0f} s"
            raise PlatformTrouble(f"{kind} {', '.join(lacking)} could not be rolled out: {why}")
        # NOTE: pods become ready by their own time.
        await asyncio.sleep(_LOOK_SECONDS)


async def _first_trouble(cluster: Cluster, told: Sequence[dict[str, Any] | None]) -> Trouble:
    """A hopeless one before any other."""
    troubles = [Trouble("it is not there") if each is None else trouble_of_deployment(each) for each in told]
    for each in told:
        labels = ((each or {}).get("spec") or {}).get("selector", {}).get("matchLabels") or {}
        pods = await cluster.list("v1", "Pod", labels=labels) if labels else []
        troubles += [trouble_of(pod) for pod in pods]
    said = [trouble for trouble in troubles if trouble.words]
    return next((trouble for trouble in said if trouble.is_hopeless), said[0] if said else Trouble())
