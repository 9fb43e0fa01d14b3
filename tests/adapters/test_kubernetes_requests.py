"""What a Kubernetes API may answer, and what becomes of it; by a server that is told what to answer."""

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.adapters.platforms.kubernetes.preflight import NEEDED, must_be_able
from tasks.adapters.platforms.kubernetes.requests import Cluster, Conflict, Refused
from tasks.core.cluster.documents import Identity
from tasks.core.platform import PlatformTrouble

THING = Identity("v1", "ConfigMap", "shop", "thing")
KINDS = {"resources": [{"name": "configmaps", "kind": "ConfigMap"}, {"name": "pods/log", "kind": "Pod"}]}
FOUND = {"kind": "ConfigMap", "metadata": {"name": "thing"}}
RIGHTS = sum(len(verbs) for *_, verbs in NEEDED)


class Script:
    """The answers to requests for one path, in their order, the last one for ever; and what was asked."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, bytes]] = []

    def next(self) -> tuple[int, Any]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def api(tmp_path: Path, script: Script, **others: Any) -> Iterator[Cluster]:
    """A cluster whose API answers by the script; the kinds it knows are always told."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said: Any
            if self.path == "/api/v1":
                status, said = 200, KINDS
            else:
                script.asked.append((self.command, self.path, body))
                status, said = script.next()
            content = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content) + (50 if status == 299 else 0)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815  (the names that the base class calls)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  (the base class's name)
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield cluster(tmp_path, f"http://127.0.0.1:{server.server_address[1]}", **others)
        server.shutdown()


def cluster(tmp_path: Path, address: str, *, context: str = "lab", patience_seconds: float = 5.0) -> Cluster:
    """Reached by a kubeconfig whose current context is another's."""
    named = {"name": "lab", "context": {"cluster": "lab", "user": "me"}}
    other = {"name": "production", "context": {"cluster": "production", "user": "me"}}
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "production",
        "contexts": [named, other],
        "clusters": [
            {"name": "lab", "cluster": {"server": address}},
            {"name": "production", "cluster": {"server": "http://127.0.0.1:9"}},
        ],
        "users": [{"name": "me", "user": {"token": "a-token-of-ada"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(told))
    return Cluster(context, "shop", str(path), patience_seconds)


def test_the_named_context(tmp_path: Path) -> None:
    """The context that was named is used, whatever the kubeconfig's current one is."""
    with api(tmp_path, Script((200, FOUND))) as there:
        assert asyncio.run(there.read(THING)) == FOUND


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_api_is_asked_again(tmp_path: Path, status: int) -> None:
    """An answer that may pass is asked for again until it has passed."""
    script = Script((status, {"message": "busy"}), (status, b""), (200, FOUND))
    with api(tmp_path, script) as there:
        assert asyncio.run(there.read(THING)) == FOUND
    assert len(script.asked) == 3


def test_an_answer_that_is_cut_off(tmp_path: Path) -> None:
    """Half an answer is none, and is asked for again."""
    script = Script((299, b'{"kind": "Conf'), (200, FOUND))
    with api(tmp_path, script) as there:
        assert asyncio.run(there.read(THING)) == FOUND


def test_an_api_that_stays_away(tmp_path: Path) -> None:
    """After a while it is given up, with the context's name and what was last heard."""
    with (
        api(tmp_path, Script((503, {"message": "etcd is away"})), patience_seconds=0.5) as there,
        pytest.raises(PlatformTrouble, match=r"context lab answers 503 etcd is away"),
    ):
        asyncio.run(there.read(THING))
    gone = cluster(tmp_path, "http://127.0.0.1:9", patience_seconds=0.3)
    with pytest.raises(PlatformTrouble, match="context lab does not answer"):
        asyncio.run(gone.read(THING))


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, Refused, "context lab may not do this: no"),
        (403, Refused, "context lab may not do this: no"),
        (409, Conflict, "PATCH shop/configmaps/thing: no"),
        (413, Refused, "was refused \\(413\\): no"),
        (422, Refused, "was refused \\(422\\): no"),
    ],
)
def test_what_is_refused_for_good(tmp_path: Path, status: int, kind: type[PlatformTrouble], words: str) -> None:
    """What will be refused the next time too is asked once, and told in the cluster's words."""
    script = Script((status, {"message": "no"}))
    with api(tmp_path, script) as there, pytest.raises(kind, match=words):
        asyncio.run(there.apply({"apiVersion": "v1", **FOUND}))
    assert len(script.asked) == 1


def test_what_is_not_there(tmp_path: Path) -> None:
    """That something is not there is an answer for reading and for deleting."""
    with api(tmp_path, Script((404, {"message": "not found"}))) as there:
        assert asyncio.run(there.read(THING)) is None
        asyncio.run(there.delete(THING))


def test_a_kind_that_is_not_known(tmp_path: Path) -> None:
    """A kind whose CRDs are absent is told by name."""
    unknown = Identity("gateway.networking.k8s.io/v1", "HTTPRoute", "shop", "web")
    with (
        api(tmp_path, Script((404, {}))) as there,
        pytest.raises(Refused, match=r"knows no HTTPRoute of gateway\.networking\.k8s\.io/v1: install"),
    ):
        asyncio.run(there.read(unknown))


def test_what_is_no_api(tmp_path: Path) -> None:
    """An address that answers pages is told for what it is."""
    with api(tmp_path, Script((200, b"<html>"))) as there, pytest.raises(PlatformTrouble, match="no JSON"):
        asyncio.run(there.read(THING))


def test_a_context_that_is_not_there(tmp_path: Path) -> None:
    """A context that the kubeconfig does not have is refused by name, without a try at another."""
    nobody = cluster(tmp_path, "http://127.0.0.1:9", context="nobody")
    with pytest.raises(Refused, match="no usable context nobody"):
        asyncio.run(nobody.read(THING))


def test_server_side_apply(tmp_path: Path) -> None:
    """What is applied goes as ours, and takes nothing by force unless it is told to."""
    script = Script((200, FOUND))
    with api(tmp_path, script) as there:
        asyncio.run(there.apply({"apiVersion": "v1", **FOUND}))
    ((method, path, body),) = script.asked
    assert (method, path.partition("?")[0]) == ("PATCH", "/api/v1/namespaces/shop/configmaps/thing")
    assert set(path.partition("?")[2].split("&")) == {"fieldManager=towpath", "force=false"}
    assert json.loads(body) == {"apiVersion": "v1", **FOUND}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([(200, {"gitVersion": "v1.21.3"})], "the cluster is v1.21.3"),
        ([(200, {"gitVersion": "v1.34.4"}), (200, {"status": {"allowed": False}})], "may not get deployments, list"),
        (
            [(200, {"gitVersion": "v1.34.4"}), *[(200, {"status": {"allowed": True}})] * RIGHTS, (404, {})],
            "no namespace shop",
        ),
    ],
)
def test_before_anything_is_changed(tmp_path: Path, answers: list[tuple[int, Any]], words: str) -> None:
    """An old cluster, rights that lack and a namespace that is not there are told before the first change."""
    with api(tmp_path, Script(*answers)) as there, pytest.raises(PlatformTrouble, match=words):
        asyncio.run(must_be_able(there))


def test_the_token_is_told_to_nobody(tmp_path: Path) -> None:
    """No refusal holds the token that was sent."""
    with api(tmp_path, Script((403, {"message": "forbidden"}))) as there, pytest.raises(Refused) as refused:
        asyncio.run(there.read(THING))
    assert "a-token-of-ada" not in str(refused.value)
