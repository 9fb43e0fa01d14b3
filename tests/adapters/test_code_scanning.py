"""Uploading SARIF by the documented contract of GitHub's code-scanning API, against a real server on loopback."""

import asyncio
import base64
import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tasks.adapters.code_scanning import SecurityTab, UploadLater, UploadRefused, upload_sarif
from tests.lab.hub import hub as described_hub

TOKEN = "not-a-token"


@dataclass
class Hub:
    """What a stand-in for the API answers, in order, and what it was asked."""

    posts: list[tuple[int, object]] = field(default_factory=lambda: [(202, {"id": "47177e22"})])
    states: list[object] = field(default_factory=lambda: [{"processing_status": "complete"}])
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hub.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            hub.headers.append({name.lower(): value for name, value in self.headers.items()})
            self._answer(*hub.posts.pop(0))

        def do_GET(self) -> None:
            self._answer(200, hub.states.pop(0))

        def _answer(self, status: int, body: object) -> None:
            hub.paths.append(self.path)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        hub.address = f"http://127.0.0.1:{server.server_port}"
        yield hub
        server.shutdown()
        thread.join()


async def _at_once(seconds: float) -> None:
    """Virtual time: nobody waits between two looks."""


def upload(hub: Hub, sarif: str = "{}") -> str:
    tab = SecurityTab(api=hub.address, repository="us/shop", commit="c" * 40, ref="refs/heads/main", token=TOKEN)
    return asyncio.run(upload_sarif(tab, sarif, tool="Towpath", pause=_at_once))


def test_an_upload_is_done_when_it_is_processed(hub: Hub) -> None:
    """Given an accepted upload that is pending twice, when it is complete, its id is returned."""
    hub.states = [{"processing_status": "pending"}, {"processing_status": "pending"}, {"processing_status": "complete"}]
    assert upload(hub, '{"runs": []}') == "47177e22"
    body = hub.bodies[0]
    assert gzip.decompress(base64.b64decode(body["sarif"])).decode() == '{"runs": []}'
    assert (body["commit_sha"], body["ref"], body["tool_name"]) == ("c" * 40, "refs/heads/main", "Towpath")
    assert hub.headers[0]["authorization"] == f"Bearer {TOKEN}"
    assert hub.paths[0] == "/repos/us/shop/code-scanning/sarifs"
    assert hub.paths[-1] == "/repos/us/shop/code-scanning/sarifs/47177e22"


def test_a_failed_processing_is_no_upload(hub: Hub) -> None:
    """What GitHub accepted and could not process is refused with its own errors."""
    hub.states = [{"processing_status": "failed", "errors": ["rejecting SARIF, as there are more runs than allowed"]}]
    with pytest.raises(UploadRefused, match="more runs than allowed"):
        upload(hub)


@pytest.mark.parametrize(
    ("status", "words"),
    [(400, "not valid"), (403, "may not write"), (404, "no such repository"), (413, "too large"), (422, "push it")],
)
def test_a_refusal_says_what_to_do(hub: Hub, status: int, words: str) -> None:
    """Each documented refusal is one line that does not hold the token."""
    hub.posts = [(status, {"message": "no"})]
    with pytest.raises(UploadRefused, match=words) as refused:
        upload(hub)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_tired_service_is_worth_another_try(hub: Hub, status: int) -> None:
    """What may go well in a minute is told apart from what will not."""
    hub.posts = [(status, {})]
    with pytest.raises(UploadLater):
        upload(hub)


def test_an_answer_without_an_id_is_no_success(hub: Hub) -> None:
    """An answer of another shape is never taken for an upload."""
    hub.posts = [(202, [])]
    with pytest.raises(UploadLater, match="has no id"):
        upload(hub)


def test_nobody_there(hub: Hub) -> None:
    """A refused connection is worth another try and names no token."""
    hub.address = "http://127.0.0.1:9"
    with pytest.raises(UploadLater) as later:
        upload(hub)
    assert TOKEN not in str(later.value)


@pytest.mark.network
def test_the_upload_fits_the_description_of_github() -> None:
    """The request and the questions after it are ones GitHub's own description allows."""
    with described_hub() as github:
        where = SecurityTab(
            api=github.address,
            repository="towline/shop",
            commit="c0ffee" + "0" * 34,
            ref="refs/heads/main",
            token=TOKEN,
        )
        upload = asyncio.run(upload_sarif(where, '{"version": "2.1.0", "runs": []}', tool="Towpath"))
        assert github.asked[-1] == ("GET", f"/repos/towline/shop/code-scanning/sarifs/{upload}")
        assert github.complaints == []
        assert gzip.decompress(base64.b64decode(github.sarifs[0]["sarif"])).startswith(b'{"version"')
