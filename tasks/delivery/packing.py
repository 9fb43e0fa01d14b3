"""From a revision to what a cluster runs: images in the registry, by digest, and the manifests of every environment.

It promises that what was packed is whole and named by a digest over all of it, so that staging and production are given
the same, and that nothing is named by a tag. Rendering happens in confinement: an overlay is the target's own code.
"""

import asyncio
import json
import os
from typing import Any

import yaml

from tasks.adapters.artifacts import MANIFEST, Artifact, artifact_folder
from tasks.adapters.commits import committed_at
from tasks.adapters.confinement import Most
from tasks.adapters.image_registry import PushFailed
from tasks.adapters.images import EngineError, inside
from tasks.adapters.manifests import RenderFailed, find_renderer, render_overlay
from tasks.adapters.programs import ProgramMissing
from tasks.adapters.pushed_images import ImagePush, Pushed, push_image
from tasks.adapters.state import write_atomically
from tasks.core.cluster.artifact import ClusterArtifact
from tasks.core.cluster.documents import Document, ManifestsRefused, parts_of
from tasks.core.cluster.state import pinned_parts
from tasks.core.cluster.traffic import must_split
from tasks.core.delivery import DeliverySettings
from tasks.core.environments import digest
from tasks.core.image_tags import labels_of, repository_of, tags_of
from tasks.core.plan import PlannedCheck
from tasks.core.settings import ImageSettings
from tasks.delivery.request import DeliveryRequest
from tasks.planning import plan_snapshot
from tasks.retrying import BadInput, PermanentError
from tasks.workplace import Workplace

# Raised when the way of packing changes, so that nothing packed the old way is taken for the same.
_PACKING_VERSION = 1
_RENDERING = Most(memory_bytes=1 << 30, processes=64, cpu_seconds=120, file_bytes=64 << 20)


async def pack_release(place: Workplace, request: DeliveryRequest, version: str) -> Artifact:
    """Everything that the environments will run, pushed and kept. Raises PermanentError."""
    began = place.seconds()
    delivery = place.settings.delivery
    try:
        manifests = await _render(place, delivery)
        pushed = await _push_all(place, request, version)
    except (RenderFailed, ManifestsRefused, ProgramMissing, PushFailed, EngineError, OSError) as failed:
        raise PermanentError(str(failed)) from failed
    images = {name: each.reference for name, each in pushed.items()}
    packed = ClusterArtifact(components=delivery.components, images=images, manifests=manifests)
    told = packed.model_dump(mode="json")
    how = delivery.model_dump(mode="json", include={"database", "tests"})
    wanted = f"sha256:{digest([_PACKING_VERSION, told, how])}"
    folder = artifact_folder(place.state, wanted)
    is_reused = (folder / MANIFEST).exists()
    written = {**told, "delivery": delivery.model_dump(mode="json"), "revision": place.snapshot.revision}
    write_atomically(folder / MANIFEST, json.dumps(written, indent=1) + "\n")
    return Artifact(wanted, folder, is_reused, place.seconds() - began)


async def _render(place: Workplace, delivery: DeliverySettings) -> dict[str, tuple[Document, ...]]:
    """The documents of each environment, which must be ones that can be delivered before anything is pushed."""
    renderer = await find_renderer(state=place.state, log=place.log_of("renderer"))
    found: dict[str, tuple[Document, ...]] = {}
    for name, environment in delivery.environments.items():
        assert environment.cluster is not None, "settings of the kubernetes platform say where each environment lies"
        cluster, log = environment.cluster, place.log_of(f"render-{name}")
        text = await render_overlay(
            renderer, cluster.overlay, place.snapshot.tree, state=place.state, log=log, most=_RENDERING
        )
        documents = tuple(_documents(text, cluster.overlay))
        parts = pinned_parts(parts_of(documents, delivery.components, cluster.namespace), {})
        must_split(parts.routes, parts.services)
        found[name] = documents
    return found


def _documents(text: str, overlay: str) -> list[dict[str, Any]]:
    try:
        return [each for each in yaml.safe_load_all(text) if each]
    except yaml.YAMLError as broken:
        raise RenderFailed(f"{overlay} does not render to YAML: {' '.join(str(broken).split())[:200]}") from broken


async def _push_all(place: Workplace, request: DeliveryRequest, version: str) -> dict[str, Pushed]:
    """Every component's image; those that two components share are pushed once."""
    checks = {check.id: check for check in plan_snapshot(place.snapshot, place.settings).checks if check.image}
    wanted = {name: component.image for name, component in place.settings.delivery.components.items()}
    missing = [image for image in wanted.values() if f"images/{image}" not in checks]
    if missing:
        known = ", ".join(name.removeprefix("images/") for name in checks) or "none"
        raise BadInput(f"delivery.components: there is no image {missing[0]}; known: {known}: see [images]")
    names = sorted(set(wanted.values()))
    epoch = await committed_at(request.target, place.snapshot, state=place.state)
    pushes = [_push_of(place, request, checks[f"images/{name}"], name, version, epoch) for name in names]
    done = await asyncio.gather(*(push_image(each, credentials=_credentials()) for each in pushes))
    pushed = dict(zip(names, done, strict=True))
    return {component: pushed[image] for component, image in wanted.items()}


def _push_of(
    place: Workplace, request: DeliveryRequest, check: PlannedCheck, name: str, version: str, epoch: int
) -> ImagePush:
    snapshot, registry = place.snapshot, place.settings.delivery.registry
    settings = check.image_settings or ImageSettings()
    assert check.image is not None
    origin = request.origin
    # NOTE: nothing of the version goes into the image: what staging has had is what production gets, bit for bit.
    title, revision = f"{place.target}-{name}", snapshot.revision
    labels = labels_of(title=title, source=snapshot.source, revision=revision, version="", created="")
    given = {"VERSION": revision[:12], "REVISION": revision, **settings.build_arguments}
    by = (registry.platforms, revision, registry.builder_id)
    inputs = [place.inputs(check.inputs), settings.model_dump(mode="json"), *by]
    return ImagePush(
        repository=repository_of(registry.prefix, place.target, name),
        tags=tags_of(
            revision=snapshot.revision,
            version=version,
            branch=snapshot.branch or "",
            is_default_branch=bool(origin and origin.is_default_branch),
        ),
        dockerfile=inside(snapshot.tree, check.image.dockerfile),
        context=inside(snapshot.tree, check.image.context),
        platforms=registry.platforms,
        inputs=digest(inputs),
        epoch=epoch,
        labels=labels,
        log=place.log_of(f"push-{name}"),
        build_arguments=given,
        secrets=settings.secrets,
        network=settings.network,
        builder=registry.builder,
        builder_id=registry.builder_id,
        has_bill=registry.has_bill,
        has_cache=registry.has_cache,
        is_insecure=registry.insecure,
        timeout_seconds=settings.build_timeout_seconds,
    )


def _credentials() -> tuple[str, str] | None:
    """From the worker's environment; without them whatever docker login has left is used."""
    user, token = os.environ.get("TOWPATH_REGISTRY_USER", ""), os.environ.get("TOWPATH_REGISTRY_TOKEN", "")
    return (user, token) if user and token else None
