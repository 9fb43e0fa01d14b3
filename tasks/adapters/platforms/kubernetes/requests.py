"""One request to a Kubernetes API at a time: patiently where trying again may help, and in words where it cannot.

Objects go through server-side apply with a field manager of our own, so that what others own is told instead of taken.
It must never use the kubeconfig's current context: the context is always named.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.core.cluster.documents import Document, Identity, identity_of
from tasks.core.platform import PlatformTrouble

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

MANAGER = "towpath"
_ANSWER_SECONDS = 10.0
PATIENCE_SECONDS = 45.0
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.2, 3.0
_AGAIN = frozenset((408, 429, 500, 502, 503, 504))
_GONE, _CONFLICT = 404, 409


class Conflict(PlatformTrouble):
    """Somebody else has changed the object since it was read, or owns a field of it."""


class Refused(PlatformTrouble):
    """The API will not do it, and will not the next time either; the text says why."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    def document(self) -> dict[str, Any]:
        try:
            found = json.loads(self.body)
        except ValueError as broken:
            raise PlatformTrouble(
                "the cluster's answer is no JSON: is its address that of a Kubernetes API?"
            ) from broken
        if not isinstance(found, dict):
            raise PlatformTrouble("the cluster's answer is no object")
        return found

    def said(self) -> str:
        with suppress(PlatformTrouble):
            return " ".join(str(self.document().get("message") or "").split())[:400]
        return ""


class _Question(NamedTuple):
    """One request as it is sent."""

    method: str
    path: str
    query: Mapping[str, str] = {}
    body: Mapping[str, Any] | None = None
    kind: str = "application/json"
    seconds: float = _ANSWER_SECONDS


@dataclass
class Cluster:
    """The namespace of one environment, in the cluster that its context names."""

    context: str
    namespace: str
    kubeconfig: str | None = None
    patience_seconds: float = PATIENCE_SECONDS
    _client: "ApiClient | None" = None
    _plurals: dict[tuple[str, str], str] = field(default_factory=dict)

    async def read(self, wanted: Identity) -> dict[str, Any] | None:
        answer = await self.ask("GET", await self._path(wanted), may_lack=True)
        return None if answer.status == _GONE else answer.document()

    async def apply(
        self, document: Document, *, dry_run: bool = False, force: bool = False, manager: str = MANAGER
    ) -> dict[str, Any]:
        """Server-side apply. Raises Conflict where another manager owns one of its fields."""
        wanted = identity_of(document, self.namespace)
        query = {"fieldManager": manager, "force": str(force).lower()} | ({"dryRun": "All"} if dry_run else {})
        answer = await self.ask(
            "PATCH", await self._path(wanted), body=document, query=query, kind="application/apply-patch+yaml"
        )
        return answer.document()

    async def create(self, document: Document) -> dict[str, Any]:
        """Raises Conflict where there is one of that name."""
        wanted = identity_of(document, self.namespace)
        return (await self.ask("POST", await self._collection(wanted.version, wanted.kind), body=document)).document()

    async def replace(self, document: Document) -> dict[str, Any]:
        """As it was read and changed. Raises Conflict where it was changed meanwhile."""
        wanted = identity_of(document, self.namespace)
        return (await self.ask("PUT", await self._path(wanted), body=document)).document()

    async def delete(self, wanted: Identity) -> None:
        """It and what it made; that there is none is as good."""
        body = {"propagationPolicy": "Background"}
        await self.ask("DELETE", await self._path(wanted), body=body, may_lack=True)

    async def list(
        self, version: str, kind: str, *, labels: Mapping[str, str] = {}, fields: str = ""
    ) -> list[dict[str, Any]]:
        """Every object of the kind in the namespace with these labels; each with its apiVersion and kind."""
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        query = {key: value for key, value in (("labelSelector", selector), ("fieldSelector", fields)) if value}
        found = (await self.ask("GET", await self._collection(version, kind), query=query)).document()
        return [{"apiVersion": version, "kind": kind, **item} for item in found.get("items") or ()]

    async def log_of(self, pod: str, *, lines: int = 20, previous: bool = False) -> str:
        """The last lines of a pod's log; empty where there is none."""
        query = {"tailLines": str(lines), "previous": str(previous).lower()}
        with suppress(PlatformTrouble):
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log"
            return (await self.ask("GET", path, query=query, may_lack=True)).body.decode("utf-8", "replace")
        return ""

    async def metrics_of(self, pod: str, port: int, path: str, *, seconds: float) -> bytes:
        """What a pod answers at this path, by way of the API. Raises PlatformTrouble; asks once."""
        inside = f"/api/v1/namespaces/{self.namespace}/pods/{pod}:{port}/proxy{path}"
        return (await self._once(_Question("GET", inside, seconds=seconds))).body

    async def may(self, verb: str, group: str, resource: str, subresource: str = "") -> bool:
        """Whether we may do this here, by the cluster's own word."""
        asked = {
            "namespace": self.namespace,
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        answer = await self.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
        return bool((answer.document().get("status") or {}).get("allowed"))

    async def has_namespace(self) -> bool:
        """By a ConfigMap that every namespace gets, since to read namespaces takes rights over the whole cluster."""
        found = await self.ask("GET", f"/api/v1/namespaces/{self.namespace}/configmaps/kube-root-ca.crt", may_lack=True)
        return found.status != _GONE

    async def version(self) -> str:
        return str((await self.ask("GET", "/version")).document().get("gitVersion") or "unknown")

    async def _path(self, wanted: Identity) -> str:
        return f"{await self._collection(wanted.version, wanted.kind)}/{wanted.name}"

    async def _collection(self, version: str, kind: str) -> str:
        return f"{_root(version)}/namespaces/{self.namespace}/{await self.plural_of(version, kind)}"

    async def plural_of(self, version: str, kind: str) -> str:
        """What the API calls objects of this kind. Raises Refused for a kind that it does not know."""
        if (version, kind) not in self._plurals:
            await self._learn(version)
        if (plural := self._plurals.get((version, kind))) is None:
            raise Refused(f"the cluster knows no {kind} of {version}: install what defines it (its CRDs) first")
        return plural

    async def _learn(self, version: str) -> None:
        answer = await self.ask("GET", _root(version), may_lack=True)
        for each in answer.document().get("resources") or () if answer.status != _GONE else ():
            if "/" not in each["name"]:
                self._plurals[version, each["kind"]] = each["name"]

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] = {},
        kind: str = "application/json",
        may_lack: bool = False,
    ) -> Answer:
        """The answer, asked for again while the API is away or busy. Raises Conflict, Refused, PlatformTrouble.

        Every request here may be made twice: applying, replacing what was read, and deleting come to the same. Whoever
        creates something must be able to tell whether what is there is its own."""
        deadline, wait = time.monotonic() + self.patience_seconds, _FIRST_WAIT_SECONDS
        while True:
            try:
                answer = await self._once(_Question(method, path, query, body, kind))
                if answer.status not in _AGAIN:
                    return self._judged(answer, method, path, may_lack=may_lack)
                why = f"answers {answer.status} {answer.said()}".strip()
            except _Away as away:
                why = str(away)
            if time.monotonic() >= deadline:
                raise PlatformTrouble(f"the cluster of context {self.context} {why}, for {self.patience_seconds:.0f} s")
            await asyncio.sleep(wait)
            wait = min(_LONGEST_WAIT_SECONDS, wait * 2)

    def _judged(self, answer: Answer, method: str, path: str, *, may_lack: bool) -> Answer:
        if answer.status < 300 or (answer.status == _GONE and may_lack):
            return answer
        what = f"{method} {path.rpartition('/namespaces/')[2] or path}"
        said = answer.said() or f"it answered {answer.status}"
        match answer.status:
            case 409:
                raise Conflict(f"{what}: {said}")
            case 401 | 403:
                raise Refused(f"context {self.context} may not do this: {said}")
            case _:
                raise Refused(f"{what} was refused ({answer.status}): {said}")

    async def _once(self, question: _Question) -> Answer:
        return await asyncio.to_thread(self._send, question)

    def _send(self, question: _Question) -> Answer:
        method, path, query, body, kind, seconds = question
        import urllib3
        from kubernetes.client import ApiException

        client = self._connected()
        headers = {"Accept": "application/json", "Content-Type": kind} if body is not None else {"Accept": "*/*"}
        try:
            verb, url, given, content, _ = client.param_serialize(
                method, path, query_params=list(query.items()), header_params=headers, auth_settings=["BearerToken"]
            )
            content = json.dumps(body) if body is not None else None
            found = client.call_api(
                verb, url, given, content if kind != "application/json" else body, None, (3.0, seconds)
            )
            return Answer(found.status, found.read() or b"")
        except ApiException as refused:
            raise _Away(f"cannot be asked ({' '.join(str(refused.reason).split())[:200]})") from refused
        except (urllib3.exceptions.HTTPError, OSError) as away:
            raise _Away(f"does not answer ({type(away).__name__})") from away

    def _connected(self) -> "ApiClient":
        if self._client is None:
            self._client = _client(self.context, self.kubeconfig)
        return self._client


class _Away(PlatformTrouble):
    """Nobody answered, or it was cut off."""


def _client(context: str, kubeconfig: str | None) -> "ApiClient":
    # NOTE: not at the top: it takes a quarter of a second, and most commands need no cluster.
    from kubernetes import client, config
    from kubernetes.config import ConfigException

    try:
        if context == IN_CLUSTER:
            config.load_incluster_config(own := client.Configuration())
            return client.ApiClient(own)
        made = config.new_client_from_config(config_file=kubeconfig, context=context, persist_config=False)
    except (ConfigException, OSError, ValueError, TypeError) as missing:
        said = " ".join(str(missing).split())[:200]
        raise Refused(
            f"there is no usable context {context} in the kubeconfig ({said}): see kubectl config get-contexts"
        ) from missing
    # The waiting is ours, with words for it.
    made.configuration.retries = False
    return client.ApiClient(made.configuration)


IN_CLUSTER = "in-cluster"


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
