"""The container engine's images: find the engine, build, start once, remove.

Building goes through the `docker` program (buildx) and the one subprocess door; the rest through the engine's own
interface (the docker SDK, imported late because it is heavy). What even `kill -9` leaves in the engine carries its
run's id and is removed by the next `sweep`; what Towpath did not start is never touched.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tasks.adapters import process
from tasks.adapters.container_engine import HOME_LABEL, RUN_LABEL, EngineError, connect, home_id, labels_of
from tasks.adapters.image_trials import ImageTrial, TrialResult, last_line, remove_container, try_image
from tasks.adapters.process import Command, Completion, Ending, Need

__all__ = [
    "Engine",
    "EngineError",
    "EngineMissing",
    "ImageBuild",
    "ImageTrial",
    "TrialResult",
    "build_image",
    "find_engine",
    "remove_image",
    "save_image",
    "sweep",
    "try_image",
]

_LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Engine:
    version: str
    buildx_version: str


@dataclass(frozen=True)
class EngineMissing:
    reason: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class ImageBuild:
    """A build for the engine's own store. `secrets` go to buildx --secret; `network` is default, host or none."""

    dockerfile: Path
    context: Path
    tag: str
    run_id: str
    build_arguments: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    network: str = "default"
    timeout_seconds: float
    log: Path


async def find_engine(log: Path) -> Engine | EngineMissing:
    """The engine that `docker` would use from here, or what is missing of it."""
    server, buildx = await asyncio.gather(
        _ask(log, "version", "--format", "{{.Server.Version}}"),
        _ask(log.with_name(f"{log.stem}-buildx{log.suffix}"), "buildx", "version"),
    )
    if server.ending is Ending.NOT_FOUND:
        return EngineMissing("the docker program is not installed", "install Docker, then run `docker version`")
    if server.ending is not Ending.EXITED or server.exit_code:
        reason = f"no container engine answers: {server.detail or last_line(server.tail)}"
        remedy = "start it (Docker Desktop, or `systemctl start docker`), or set DOCKER_HOST; see `docker version`"
        return EngineMissing(reason, remedy)
    if buildx.ending is not Ending.EXITED or buildx.exit_code:
        return EngineMissing("docker has no buildx plugin", "install docker-buildx, then run `docker buildx version`")
    return Engine(version=last_line(server.tail), buildx_version=last_line(buildx.tail).split(" ")[1])


async def _ask(log: Path, *arguments: str) -> Completion:
    command = Command(
        argv=("docker", *arguments),
        directory=Path("/"),
        log=log,
        timeout_seconds=_LOOK_SECONDS,
        needs=frozenset({Need.ENGINE}),
        is_own=True,
    )
    return await process.run(command)


def inside(tree: Path, path: str) -> Path:
    """A file or folder of the tree. Raises EngineError for a link out of it, whose content an error might tell."""
    found = tree / path
    if not found.resolve().is_relative_to(tree.resolve()):
        raise EngineError(f"{path} is a link out of the repository, which is not followed")
    return found


async def build_image(build: ImageBuild) -> Completion:
    """Build into the engine's store; the log names the Dockerfile's line when a step fails."""
    command = Command(
        argv=tuple(_build_arguments(build)),
        directory=build.context,
        log=build.log,
        timeout_seconds=build.timeout_seconds,
        # The attestations of a pushed image would turn a local one into an index that older engines cannot load.
        environment={"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"},
        needs=frozenset({Need.ENGINE, Need.NETWORK}),
        is_own=True,
    )
    return await process.run(command)


def _build_arguments(build: ImageBuild) -> Iterator[str]:
    yield from ("docker", "buildx", "build", "--load", "--progress", "plain")
    yield from ("--file", str(build.dockerfile), "--tag", build.tag, "--network", build.network)
    for label, value in labels_of(build.run_id).items():
        yield from ("--label", f"{label}={value}")
    for name, value in build.build_arguments.items():
        yield from ("--build-arg", f"{name}={value}")
    for secret in build.secrets:
        yield from ("--secret", secret)
    if build.network == "host":
        yield from ("--allow", "network.host")
    yield str(build.context)


async def save_image(reference: str, archive: Path, *, log: Path, timeout_seconds: float) -> str:
    """Write an image of the engine's store into a tar archive; returns its id, `sha256:...`. Raises EngineError."""
    identity = await _ask(log, "image", "inspect", "--format", "{{.Id}}", reference)
    saved = await process.run(
        Command(
            argv=("docker", "image", "save", "--output", str(archive), reference),
            directory=Path("/"),
            log=log,
            timeout_seconds=timeout_seconds,
            needs=frozenset({Need.ENGINE}),
            is_own=True,
        )
    )
    for step in (identity, saved):
        if step.ending is not Ending.EXITED or step.exit_code:
            raise EngineError(f"{reference} could not be saved: {step.detail or last_line(step.tail)}")
    return last_line(identity.tail)


async def remove_image(reference: str) -> None:
    """Remove the image if it is there."""
    await asyncio.to_thread(_remove_image, reference)


async def sweep(run_ids_alive: frozenset[str]) -> tuple[str, ...]:
    """Remove what dead runs of this Towpath left in the engine; returns what that was."""
    return await asyncio.to_thread(_sweep, run_ids_alive)


def _remove_image(reference: str) -> None:
    from docker.errors import ImageNotFound

    with connect() as engine, suppress(ImageNotFound):
        engine.client.images.remove(reference, force=True)


def _sweep(run_ids_alive: frozenset[str]) -> tuple[str, ...]:
    from docker.errors import APIError

    removed: list[str] = []
    ours: dict[str, str | list[str] | bool] = {"label": [RUN_LABEL, f"{HOME_LABEL}={home_id()}"]}
    with connect() as engine:
        for container in engine.client.containers.list(all=True, filters=ours):
            if container.labels[RUN_LABEL] not in run_ids_alive:
                remove_container(container)
                removed.append(f"container {container.name}")
        for image in engine.client.images.list(filters=ours):
            if image.labels[RUN_LABEL] not in run_ids_alive:
                # In use by something that Towpath did not start: not ours to break.
                with suppress(APIError):
                    engine.client.images.remove(str(image.id), force=True)
                    removed.append(f"image {', '.join(image.tags) or image.short_id}")
    return tuple(removed)
