"""One repository of an OCI registry: what it has, under which names, and what it says of where that comes from.

Asked are the routes of the distribution specification, with its token authentication. A credential goes to the
registry, or to the token service that this registry names, and nowhere else.
"""

import asyncio
import base64
import hashlib
import re
from typing import Any

import httpx

INPUTS = "dev.towpath.inputs"
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFESTS = (
    _INDEX,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ANSWER_SECONDS = 20.0
_TRIES, _FIRST_WAIT_SECONDS = 4, 1.0


class PushFailed(Exception):
    """The image is not in the registry; the text says why, in one line."""


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

    @property
    def name(self) -> str:
        return self._name

    async def document_of(self, kind: str, digest: str) -> Any:
        """The JSON of a manifest or a blob, which is what its digest says. Raises PushFailed."""
        accept = ", ".join(_MANIFESTS) if kind == "manifests" else "*/*"
        answer = await self._ask("GET", f"{self._base}/{kind}/{digest}", accept=accept)
        if not answer.is_success:
            raise PushFailed(f"the registry has no {digest} of {self._name} ({answer.status_code})")
        if f"sha256:{hashlib.sha256(answer.content).hexdigest()}" != digest:
            raise PushFailed(f"what the registry gives as {digest} of {self._name} is something else")
        try:
            return answer.json()
        except ValueError as broken:
            raise PushFailed(f"{digest} of {self._name} is no JSON") from broken

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
