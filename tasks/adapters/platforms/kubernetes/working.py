"""Commands that run once in the cluster, one at a time for each name: watched to their end, their output kept."""

import asyncio
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from tasks.adapters.platforms.kubernetes.requests import Cluster, Conflict
from tasks.adapters.state import write_atomically
from tasks.core.cluster.documents import Document, Identity
from tasks.core.cluster.jobs import JOB, ending_of
from tasks.core.cluster.trouble import trouble_of
from tasks.core.platform import PlatformTrouble
from tasks.core.prose import last_line

_LOOK_SECONDS = 0.3
_LINES = 500
_BEGUN = "towpath.dev/begun"


class JobFailed(PlatformTrouble):
    """The command ran and did not come to a good end; the text says how, with its last words."""


async def run_job(cluster: Cluster, job: Document, *, log: Path, deadline_seconds: float) -> str:
    """What it said, once it has come to a good end; the job is gone then. Raises JobFailed, PlatformTrouble."""
    name = str(job["metadata"]["name"])
    where = Identity("batch/v1", "Job", cluster.namespace, name)
    await begin_job(cluster, where, job)
    try:
        ended = await _until_ended(cluster, where, deadline_seconds)
        said = await _said(cluster, name)
    except asyncio.CancelledError:
        await cluster.delete(where)
        raise
    write_atomically(log, said)
    if ended:
        raise JobFailed(f"{name} failed ({ended}): {last_line(said)[:200] or 'it said nothing'}; see {log}")
    await cluster.delete(where)
    return said


async def begin_job(cluster: Cluster, where: Identity, job: Document) -> None:
    """The name is the lock: while one of that name is at work no other is begun. Raises PlatformTrouble."""
    job = {**job, "metadata": {**job["metadata"], "annotations": {_BEGUN: uuid4().hex}}}
    deadline = time.monotonic() + cluster.patience_seconds
    while True:
        try:
            await cluster.create(job)
        except Conflict as there:
            other = await cluster.read(where)
            if other is not None and _mark_of(other) == _mark_of(job):
                # NOTE: ours, whose creation was answered by nothing and asked for again.
                return
            if other is not None and ending_of(other) is None and "deletionTimestamp" not in other["metadata"]:
                raise PlatformTrouble(
                    f"{where.name} is at work already: wait for its end, or delete that Job"
                ) from there
            await cluster.delete(where)
        else:
            return
        if time.monotonic() >= deadline:
            raise PlatformTrouble(f"the Job {where.name} of before does not go away")
        # NOTE: deleting takes the cluster a moment, and tells nobody of its end.
        await asyncio.sleep(_LOOK_SECONDS)


def _mark_of(job: Document) -> str:
    return str((job["metadata"].get("annotations") or {}).get(_BEGUN) or "")


async def _until_ended(cluster: Cluster, where: Identity, deadline_seconds: float) -> str:
    deadline = time.monotonic() + deadline_seconds + 30.0
    while True:
        found = await cluster.read(where)
        if found is None:
            return "somebody deleted it"
        if (ended := ending_of(found)) is not None:
            return ended
        if why := await _hopeless(cluster, where.name):
            return why
        if time.monotonic() >= deadline:
            return f"not done within {deadline_seconds:.0f} s"
        await asyncio.sleep(_LOOK_SECONDS)


async def _hopeless(cluster: Cluster, name: str) -> str:
    for pod in await pods_of_job(cluster, name):
        trouble = trouble_of(pod)
        if trouble.is_hopeless:
            return trouble.words
    return ""


async def pods_of_job(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    return await cluster.list("v1", "Pod", labels={JOB: name})


async def _said(cluster: Cluster, name: str) -> str:
    return "".join(
        [await cluster.log_of(str(pod["metadata"]["name"]), lines=_LINES) for pod in await pods_of_job(cluster, name)]
    )
