"""From a revision to a release: the gates it must have passed, and the build."""

import asyncio
import time
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.artifacts import Artifact, BuildFailed, build_artifact
from tasks.adapters.commits import author_of, is_version
from tasks.adapters.environments import Built
from tasks.adapters.grounds import Ground, NameRefused
from tasks.adapters.past_reports import past_runs
from tasks.adapters.platforms.choosing import safekeeping_for
from tasks.core.delivery import DeliverySettings
from tasks.core.environments import EnvironmentKind
from tasks.core.gates import StageRun, blocking, stage_gate, staging_gate
from tasks.core.platform import PlatformTrouble
from tasks.core.records import Gate
from tasks.core.release import Release
from tasks.delivery.packing import pack_release
from tasks.delivery.request import DeliveryRequest
from tasks.planning import plan_snapshot
from tasks.preparing import prepare_environment
from tasks.retrying import BadInput, NotAllowed, PermanentError
from tasks.workplace import Workplace

# How long a release waits for stages that were begun together with it, and how often it looks.
_STAGES_SECONDS, _LOOK_SECONDS = 3600.0, 2.0


def ground_of(place: Workplace, environment: str) -> Ground:
    """Where the environment of this target keeps its state. Raises BadInput."""
    try:
        return Ground(place.state, target_name(place), environment)
    except NameRefused as refused:
        raise BadInput(str(refused)) from refused


def target_name(place: Workplace) -> str:
    return place.target


@task(name="build", task_run_name="build", cache_policy=NO_CACHE)
async def build_release(place: Workplace, request: DeliveryRequest, environment: str) -> Release:
    """What would run in the environment, built unless it has been. Raises PermanentError."""
    delivery = place.settings.delivery
    wanted = delivery.environments[environment]
    named = request.ref.removeprefix("refs/tags/") if request.ref else ""
    version = named if is_version(named) else ""
    artifact = await _artifact(place, request, version)
    return Release(
        version=version or place.snapshot.revision[:12],
        revision=place.snapshot.revision,
        artifact=artifact.digest,
        configuration={name: dict(values) for name, values in wanted.variables.items()},
        replicas=dict(wanted.replicas),
        author=await author_of(request.target, place.snapshot, state=place.state),
    )


async def _artifact(place: Workplace, request: DeliveryRequest, version: str) -> Artifact:
    delivery = place.settings.delivery
    if delivery.platform == "kubernetes":
        return await pack_release(place, request, version)
    folders = [built.binaries for built in await _node_environments(place, delivery)]
    return await _build(place, delivery, folders)


async def _build(place: Workplace, delivery: DeliverySettings, folders: list[Path]) -> Artifact:
    try:
        return await build_artifact(
            place.snapshot,
            delivery,
            state=place.state,
            logs=place.folder / "logs",
            path=folders,
            timeout_seconds=place.settings.run.install_timeout_seconds,
        )
    except (BuildFailed, OSError) as failed:
        raise PermanentError(str(failed)) from failed


async def _node_environments(place: Workplace, delivery: DeliverySettings) -> list[Built]:
    """The installed packages that builds of pages need; a Python component installs its own."""
    folders = {component.directory.rstrip("/") for component in delivery.components.values()}
    plan = plan_snapshot(place.snapshot, place.settings)
    wanted = [each for each in plan.environments if each.kind is EnvironmentKind.NODE and folders & set(each.folders)]
    return [await prepare_environment(each, place) for each in wanted]


@task(name="gates", task_run_name="gates", cache_policy=NO_CACHE)
async def check_gates(place: Workplace, request: DeliveryRequest) -> tuple[Gate, ...]:
    """Every configured stage must have passed on exactly this revision. Raises PermanentError unless overridden."""
    revision, target = place.snapshot.revision, request.target
    if place.snapshot.is_dirty:
        raise BadInput(f"{target} has changes that are in no commit: commit them, or name a ref with --ref")
    runs = await _runs_of(place, request)
    how = f"towpath {{}} {target} --ref {request.ref or 'HEAD'}"
    gates = tuple(
        stage_gate(name, runs, revision=revision, how=how.format(name)) for name in place.settings.delivery.gates
    )
    return passed_or_overridden(gates, request)


async def _runs_of(place: Workplace, request: DeliveryRequest) -> list[StageRun]:
    """What has run over this revision. A delivery of a forge begins its stages together with the release, so that the
    release waits for those that have not come to an end yet."""
    most_seconds = min(request.wait_seconds, _STAGES_SECONDS) if request.origin else 0.0
    deadline = time.monotonic() + most_seconds
    while True:
        runs = [
            StageRun(run.flow, run.verdict, run.reason, run.started, run.is_dirty, run.overrides)
            for run in past_runs(place.state, name=target_name(place), revision=place.snapshot.revision)
        ]
        ended = {run.flow for run in runs if not run.is_dirty}
        if ended.issuperset(place.settings.delivery.gates) or time.monotonic() >= deadline:
            return runs
        await asyncio.sleep(_LOOK_SECONDS)


@task(name="staging gate", task_run_name="staging gate", cache_policy=NO_CACHE)
async def check_staging(place: Workplace, request: DeliveryRequest, release: Release) -> tuple[Gate, ...]:
    """What goes to production must have been released to staging, bit for bit. Raises PermanentError."""
    staging = place.settings.delivery.staging
    try:
        keeping = safekeeping_for(ground_of(place, staging), place.settings.delivery)
        records = await keeping.ledger.records()
    except PlatformTrouble as trouble:
        raise PermanentError(str(trouble)) from trouble
    return passed_or_overridden((staging_gate(records, release, environment=staging),), request)


def passed_or_overridden(gates: tuple[Gate, ...], request: DeliveryRequest) -> tuple[Gate, ...]:
    if (blocked := blocking(gates)) and not request.override.strip():
        reasons = "; ".join(gate.reason for gate in blocked)
        raise NotAllowed(f"not released: {reasons} (or pass it over, on record: --override REASON)")
    return gates
