"""Whether the release that runs now can live with the next one's schema, tried in the cluster.

The target's CronJob makes a database of the backup, jobs of the new release migrate it, and one instance of the release
that runs is started on it, which no Service leads to. It is reached through a forwarded port. It promises that the
database and the instance go with the context; those of a delivery that was killed end by their own deadline, and the
next scratch database takes the place of the last.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tasks.adapters.manifests import find_kubectl
from tasks.adapters.platforms.kubernetes.requests import IN_CLUSTER, Cluster
from tasks.adapters.platforms.kubernetes.working import begin_job, pods_of_job
from tasks.adapters.process import Command, Completion, run
from tasks.adapters.programs import ProgramMissing
from tasks.core.cluster.documents import Identity, ManifestsRefused, Part, main_container
from tasks.core.cluster.jobs import instance_of
from tasks.core.cluster.trouble import is_ready, trouble_of
from tasks.core.database import DatabaseTrouble, SchemaUnbearable
from tasks.core.platform import PlatformTrouble
from tasks.core.prose import last_line

_NAME = "towpath-rehearsal"
_LOOK_SECONDS = 0.2
_FORWARD_SECONDS = 30.0
_FORWARDED = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One instance of a part for some seconds; `state` is where Towpath keeps programs."""

    cluster: Cluster
    part: Part
    version: str
    state: Path
    start_seconds: float
    longest_seconds: float


@asynccontextmanager
async def instance_at_work(trial: Trial, *, log: Path) -> AsyncIterator[str]:
    """The instance's address on this machine, while it is there and ready. Raises DatabaseTrouble."""
    where = Identity("batch/v1", "Job", trial.cluster.namespace, _NAME)
    try:
        job = instance_of(trial.part, _NAME, deadline_seconds=trial.longest_seconds)
        port = _port_of(trial.part)
        await begin_job(trial.cluster, where, job)
        try:
            pod = await _until_ready(trial)
            async with _forwarded(trial, pod, port, log=log) as address:
                yield address
        finally:
            await trial.cluster.delete(where)
    except (PlatformTrouble, ManifestsRefused, ProgramMissing) as trouble:
        raise DatabaseTrouble(str(trouble)) from trouble


def _port_of(part: Part) -> int:
    ports = main_container(part).get("ports") or ()
    if not ports:
        raise ManifestsRefused(f"the container of {part.name} declares no containerPort, so nobody can ask it anything")
    return int(ports[0]["containerPort"])


async def _until_ready(trial: Trial) -> str:
    deadline, said = time.monotonic() + trial.start_seconds, "no pod yet"
    while time.monotonic() < deadline:
        for pod in await pods_of_job(trial.cluster, _NAME):
            name = str(pod["metadata"]["name"])
            if is_ready(pod):
                return name
            trouble = trouble_of(pod, await trial.cluster.list("v1", "Event", fields=f"involvedObject.name={name}"))
            said = trouble.words or "not ready"
            if trouble.is_hopeless or pod["status"].get("phase") == "Failed":
                words = last_line(await trial.cluster.log_of(name, lines=20))
                raise _not_ready(trial, f"{said}; it last said: {words[:200]}")
        await asyncio.sleep(_LOOK_SECONDS)
    raise _not_ready(trial, said)


def _not_ready(trial: Trial, why: str) -> SchemaUnbearable:
    return SchemaUnbearable(f"{trial.version} does not get ready on the migrated schema: {why}")


@asynccontextmanager
async def _forwarded(trial: Trial, pod: str, port: int, *, log: Path) -> AsyncIterator[str]:
    said = log.with_suffix(".port.out")
    program = await find_kubectl(state=trial.state, log=log.with_suffix(".kubectl.log"))
    argv = (*program, *_towards(trial.cluster), "port-forward", "--address=127.0.0.1", f"pod/{pod}", f":{port}")
    command = Command(
        argv=argv,
        directory=Path("/"),
        log=log.with_suffix(".port.log"),
        stdout=said,
        timeout_seconds=trial.longest_seconds,
        environment={"KUBECONFIG": trial.cluster.kubeconfig} if trial.cluster.kubeconfig else {},
        is_own=True,
    )
    forwarding = asyncio.create_task(run(command))
    try:
        yield f"http://127.0.0.1:{await _until_forwarded(forwarding, said)}"
    finally:
        forwarding.cancel()
        await asyncio.gather(forwarding, return_exceptions=True)


def _towards(cluster: Cluster) -> tuple[str, ...]:
    """A program inside a pod finds its own account by itself."""
    context = () if cluster.context == IN_CLUSTER else (f"--context={cluster.context}",)
    return (*context, f"--namespace={cluster.namespace}")


async def _until_forwarded(forwarding: "asyncio.Task[Completion]", said: Path) -> int:
    deadline = time.monotonic() + _FORWARD_SECONDS
    while time.monotonic() < deadline:
        if found := _FORWARDED.search(said.read_text("utf-8", "replace") if said.exists() else ""):
            return int(found[1])
        if forwarding.done():
            raise PlatformTrouble(f"no port could be forwarded: {last_line(forwarding.result().tail)[:200]}")
        await asyncio.sleep(_LOOK_SECONDS)
    raise PlatformTrouble(f"no port was forwarded within {_FORWARD_SECONDS:.0f} s")
