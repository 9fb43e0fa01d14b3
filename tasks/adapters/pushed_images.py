"""Building an image for several kinds of machine, pushing it, and reading back what the registry then has.

It promises a digest that the registry itself has told, which is what everything downstream uses. An image that was
pushed for the same inputs is not built again: attestations hold times, so that a second build would be another image.
A token goes to the registry's login by standard input, and to nothing else.
"""

import asyncio
import base64
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tasks.adapters import process
from tasks.adapters.process import Command, Completion, Ending, Need
from tasks.core.prose import last_line

INPUTS = "dev.towpath.inputs"
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFESTS = (
    _INDEX,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ANSWER_SECONDS, _LOGIN_SECONDS, _LOOK_SECONDS = 20.0, 60.0, 30.0
_TRIES, _FIRST_WAIT_SECONDS = 4, 1.0
# What a registry or the way to it may do once and not the next time.
_PASSING = re.compile(
    r"(timeout|timed out|reset by peer|EOF|50[0234]|429|too many requests|temporarily|no such host)", re.I
)


class PushFailed(Exception):
    """The image is not in the registry; the text says why, in one line."""


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
    """The image in the registry, built unless it is there for these inputs. Raises PushFailed."""
    registry = Registry(push.repository, credentials=credentials, is_insecure=push.is_insecure)
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
    words += ["--provenance", "mode=max", "--sbom", str(push.has_bill).lower()]
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


class Registry:
    """One repository of a registry, asked by the OCI distribution specification."""

    def __init__(
        self, repository: str, *, credentials: tuple[str, str] | None = None, is_insecure: bool = False
    ) -> None:
        host, _, self._name = repository.partition("/")
        is_here = is_insecure or host.partition(":")[0] in ("127.0.0.1", "localhost")
        self._base = f"{'http' if is_here else 'https'}://{host}/v2/{self._name}"
        self._credentials = credentials

    async def digest_of(self, reference: str) -> str | None:
        """The digest of a tag; None where there is none. Raises PushFailed."""
        answer = await self._ask("HEAD", f"{self._base}/manifests/{reference}", accept=", ".join(_MANIFESTS))
        return answer.headers.get("Docker-Content-Digest") if answer.is_success else None

    async def digest_for(self, tag: str, *, inputs: str) -> str | None:
        """The digest of the tag if it was made from these inputs."""
        answer = await self._ask("GET", f"{self._base}/manifests/{tag}", accept=_INDEX)
        if not answer.is_success:
            return None
        try:
            is_same = (answer.json().get("annotations") or {}).get(INPUTS) == inputs
        except ValueError:
            return None
        return answer.headers.get("Docker-Content-Digest") if is_same else None

    async def tag(self, digest: str, tag: str) -> None:
        """Give what is there another name, unless it has it. Raises PushFailed."""
        if await self.digest_of(tag) == digest:
            return
        found = await self._ask("GET", f"{self._base}/manifests/{digest}", accept=", ".join(_MANIFESTS))
        kind = found.headers.get("Content-Type", _INDEX)
        put = await self._ask("PUT", f"{self._base}/manifests/{tag}", accept=kind, body=found.content)
        if not put.is_success:
            raise PushFailed(f"the registry does not tag {self._name}:{tag} ({put.status_code})")

    async def _ask(self, method: str, url: str, *, accept: str, body: bytes | None = None) -> httpx.Response:
        """Answered, or told that it is not there. Raises PushFailed."""
        headers, said = {"Accept": accept}, ""
        if body is not None:
            headers["Content-Type"] = accept
        for attempt in range(_TRIES):
            try:
                async with httpx.AsyncClient(timeout=_ANSWER_SECONDS) as client:
                    answer = await client.request(method, url, headers=headers, content=body)
                    if answer.status_code == httpx.codes.UNAUTHORIZED and "Authorization" not in headers:
                        headers["Authorization"] = await self._authorization(client, answer)
                        answer = await client.request(method, url, headers=headers, content=body)
            except httpx.HTTPError as away:
                said = f"does not answer ({type(away).__name__})"
            else:
                if answer.status_code < 500 and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                    return self._known(answer)
                said = f"answers {answer.status_code}"
            await asyncio.sleep(_FIRST_WAIT_SECONDS * 2**attempt if attempt + 1 < _TRIES else 0)
        raise PushFailed(f"the registry of {self._name} {said}: try again, or see whether it can be reached from here")

    def _known(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise PushFailed(
                f"the registry lets nobody read {self._name} like this ({answer.status_code}): log in to it"
            )
        return answer

    async def _authorization(self, client: httpx.AsyncClient, refused: httpx.Response) -> str:
        """By the token service that the refusal names, as the distribution specification's authentication has it."""
        challenge = refused.headers.get("WWW-Authenticate", "")
        asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        if challenge.lower().startswith("basic") and self._credentials:
            return f"Basic {base64.b64encode(':'.join(self._credentials).encode()).decode()}"
        if "realm" not in asked:
            raise PushFailed(f"the registry of {self._name} asks for a login that is not understood")
        query = {key: asked[key] for key in ("service", "scope") if key in asked}
        auth = httpx.BasicAuth(*self._credentials) if self._credentials else None
        answer = await client.get(asked["realm"], params=query, auth=auth or httpx.USE_CLIENT_DEFAULT)
        if not answer.is_success:
            raise PushFailed(f"the registry of {self._name} gives no token ({answer.status_code}): is the login right?")
        told = answer.json()
        return f"Bearer {told.get('token') or told.get('access_token') or ''}"
