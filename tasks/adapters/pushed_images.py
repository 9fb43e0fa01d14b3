"""Building an image for several kinds of machine, pushing it, and reading back what the registry then has.

It promises a digest that the registry itself has told, which is what everything downstream uses. An image that was
pushed for the same inputs is not built again: attestations hold times, so that a second build would be another image.
A token goes to the registry's login by standard input, and to nothing else.
"""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.adapters import process
from tasks.adapters.attestations import verify_provenance
from tasks.adapters.image_registry import INPUTS, PushFailed, Registry
from tasks.adapters.process import Command, Completion, Ending, Need
from tasks.core.prose import last_line
from tasks.core.provenance import REVISION

_LOGIN_SECONDS, _LOOK_SECONDS = 60.0, 30.0
_TRIES, _FIRST_WAIT_SECONDS = 4, 1.0
# What a registry or the way to it may do once and not the next time.
_PASSING = re.compile(
    r"(timeout|timed out|reset by peer|EOF|50[0234]|429|too many requests|temporarily|no such host)", re.I
)


@dataclass(frozen=True, kw_only=True)
class ImagePush:
    """One image. `inputs` is the digest of all that goes into it, `epoch` the seconds of its commit."""

    repository: str
    tags: tuple[str, ...]
    dockerfile: Path
    context: Path
    platforms: tuple[str, ...]
    inputs: str
    epoch: int
    labels: Mapping[str, str]
    log: Path
    build_arguments: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    network: str = "default"
    builder: str = ""
    builder_id: str = "towpath"
    has_bill: bool = True
    has_cache: bool = True
    is_insecure: bool = False
    timeout_seconds: float = 1800.0


@dataclass(frozen=True)
class Pushed:
    """What the registry has: `reference` is the repository with the digest."""

    reference: str
    digest: str
    is_reused: bool
    builder: str


async def push_image(push: ImagePush, *, credentials: tuple[str, str] | None = None) -> Pushed:
    """The image in the registry, built unless it is there for these inputs. Raises PushFailed.

    Whether it was found or built, its provenance must say that it comes from this revision and builder.
    """
    registry = Registry(push.repository, credentials=credentials, is_insecure=push.is_insecure)
    pushed = await _pushed(push, registry, credentials)
    revision = push.labels.get(REVISION, "")
    await verify_provenance(registry, pushed.digest, revision=revision, builder=push.builder_id)
    return pushed


async def _pushed(push: ImagePush, registry: Registry, credentials: tuple[str, str] | None) -> Pushed:
    if (found := await registry.digest_for(push.tags[0], inputs=push.inputs)) is not None:
        for tag in push.tags[1:]:
            await registry.tag(found, tag)
        return Pushed(f"{push.repository}@{found}", found, is_reused=True, builder="")
    if credentials is not None:
        await _log_in(push, credentials)
    builder = await choose_builder(push.builder, push.platforms, log=push.log.with_suffix(".builder.log"))
    built = await _build(push, builder)
    told = await registry.digest_of(push.tags[0])
    if told != built:
        raise PushFailed(
            f"{push.repository}:{push.tags[0]} is {told or 'not there'} in the registry, built was {built}"
        )
    return Pushed(f"{push.repository}@{built}", built, is_reused=False, builder=builder)


async def _build(push: ImagePush, builder: str) -> str:
    """The digest that the builder says it has pushed."""
    metadata = push.log.with_suffix(".metadata.json")
    wait = _FIRST_WAIT_SECONDS
    for attempt in range(1, _TRIES + 1):
        metadata.unlink(missing_ok=True)
        done = await process.run(_command(push, builder, metadata))
        if done.ending is Ending.EXITED and done.exit_code == 0:
            return _digest_in(metadata)
        why = _why(done)
        if attempt == _TRIES or not _PASSING.search(why) or done.ending is not Ending.EXITED:
            raise PushFailed(f"{push.repository} could not be built and pushed: {why}; its output is {push.log}")
        await asyncio.sleep(wait)
        wait *= 2
    raise AssertionError("unreachable")


def _why(done: Completion) -> str:
    errors = [line for line in done.tail.splitlines() if line.startswith(("ERROR", "error"))]
    return done.detail or (errors[-1] if errors else last_line(done.tail))[:300] or f"exit code {done.exit_code}"


def _digest_in(metadata: Path) -> str:
    try:
        return str(json.loads(metadata.read_bytes())["containerimage.digest"])
    except (OSError, ValueError, KeyError) as broken:
        raise PushFailed("the builder left no digest of what it pushed: it is too old, or was cut off") from broken


def _command(push: ImagePush, builder: str, metadata: Path) -> Command:
    return Command(
        argv=tuple(arguments(push, builder, metadata)),
        directory=push.context,
        log=push.log,
        timeout_seconds=push.timeout_seconds,
        environment={"SOURCE_DATE_EPOCH": str(push.epoch)},
        needs=frozenset({Need.ENGINE, Need.NETWORK}),
        is_own=True,
    )


def arguments(push: ImagePush, builder: str, metadata: Path) -> list[str]:
    """The command line of buildx."""
    words = ["docker", "buildx", "build", "--progress", "plain", "--builder", builder]
    words += ["--platform", ",".join(push.platforms), "--file", str(push.dockerfile), "--metadata-file", str(metadata)]
    words += [word for tag in push.tags for word in ("--tag", f"{push.repository}:{tag}")]
    for key, value in {**push.labels, INPUTS: push.inputs}.items():
        words += ["--label", f"{key}={value}", "--annotation", f"index:{key}={value}"]
    words += [word for key, value in push.build_arguments.items() for word in ("--build-arg", f"{key}={value}")]
    words += [word for secret in push.secrets for word in ("--secret", secret)]
    if push.network != "default":
        words += ["--network", push.network, "--allow", f"network.{push.network}"]
    if push.has_cache:
        cache = f"type=registry,ref={push.repository}:buildcache"
        words += ["--cache-from", cache, "--cache-to", f"{cache},mode=max,ignore-error=true"]
    words += ["--provenance", f"mode=max,builder-id={push.builder_id}", "--sbom", str(push.has_bill).lower()]
    insecure = ",registry.insecure=true" if push.is_insecure else ""
    return [*words, "--output", f"type=image,push=true,rewrite-timestamp=true{insecure}", str(push.context)]


async def choose_builder(wanted: str, platforms: tuple[str, ...], *, log: Path) -> str:
    """The builder that was named, else one that can push for several platforms, else a new one. Raises PushFailed."""
    done = await _ask(log, "buildx", "ls", "--format", "{{json .}}")
    lines = [json.loads(line) for line in done.head.splitlines() if line.startswith("{")]
    known = {str(each["Name"]): str(each.get("Driver", "")) for each in lines}
    if wanted:
        if wanted not in known:
            raise PushFailed(f"there is no builder {wanted}: docker buildx ls shows {', '.join(known) or 'none'}")
        return wanted
    able = [name for name, driver in known.items() if driver in ("docker-container", "kubernetes", "remote")]
    if able:
        return able[0]
    made = await _ask(log, "buildx", "create", "--name", "towpath", "--driver", "docker-container", "--bootstrap")
    if made.ending is not Ending.EXITED or made.exit_code:
        what = "several kinds of machine" if len(platforms) > 1 else "a registry with its cache"
        raise PushFailed(f"no builder can build for {what}, and none could be made: {_why(made)}")
    return "towpath"


async def _ask(log: Path, *words: str) -> Completion:
    return await process.run(
        Command(
            argv=("docker", *words),
            directory=Path("/"),
            log=log,
            timeout_seconds=_LOOK_SECONDS * 6,
            needs=frozenset({Need.ENGINE, Need.NETWORK}),
            is_own=True,
        )
    )


async def _log_in(push: ImagePush, credentials: tuple[str, str]) -> None:
    """The token goes by a pipe that no process list shows, and is gone from the disk when this returns."""
    user, token = credentials
    host = push.repository.partition("/")[0]
    given = push.log.with_suffix(".login")
    given.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(given, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(token)
        done = await process.run(
            Command(
                argv=("docker", "login", "--username", user, "--password-stdin", host),
                directory=Path("/"),
                log=push.log.with_suffix(".login.log"),
                stdin=given,
                timeout_seconds=_LOGIN_SECONDS,
                needs=frozenset({Need.ENGINE, Need.NETWORK}),
                is_own=True,
            )
        )
    finally:
        given.unlink(missing_ok=True)
    if done.ending is not Ending.EXITED or done.exit_code:
        raise PushFailed(f"{host} does not let {user} in: {_why(done)}")
