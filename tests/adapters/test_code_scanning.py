"""Uploading SARIF by the documented contract of GitHub's code-scanning API, against a real server on loopback."""

import asyncio
import base64
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tasks.adapters.code_scanning import SecurityTab, UploadLater, UploadRefused, upload_sarif
from tasks.adapters.github_access import Access, access_of
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
    access = Access(api=hub.address, token=TOKEN)
    tab = SecurityTab(access=access, repository="us/shop", commit="c" * 40, ref="refs/heads/main")
    return asyncio.run(upload_sarif(tab, sarif, tool="Towpath", pause=_at_once))


def test_an_upload_is_done_when_it_is_processed(hub: Hub) -> None:
    """Given an accepted upload that is pending twice, when it is complete, its id is returned."""
    hub.states = [{"processing_status": "pending"}, {"processing_status": "pending"}, {"processing_status": "complete"}]
    assert upload(hub, '{"runs": []}') == "47177e22"
    body = hub.bodies[0]
    assert gzip.decompress(base64.b64decode(body["sarif"])).decode() == '{"runs": []}'
    assert (body["commit_sha"], body["ref"], body["tool_name"]) == ("c" * 40, "refs/heads/main", "Towpath")
    assert hub.headers[0]["authorization"].split()[-1] == TOKEN
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


def by_token(_: Path) -> dict[str, str]:
    return {"GITHUB_TOKEN": TOKEN}


def by_app(folder: Path) -> dict[str, str]:
    """An App alone, without any token."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind, form, without = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(made.private_bytes(kind, form, without))
    return {"TOWPATH_GITHUB_APP_ID": "12", "TOWPATH_GITHUB_APP_KEY": str(folder / "key.pem")}


@pytest.mark.network
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("given", [by_token, by_app])
def test_the_upload_fits_the_description_of_github(tmp_path: Path, given: Callable[[Path], dict[str, str]]) -> None:
    """The requests, by a token or by an App alone, are ones GitHub's own description allows."""
    with described_hub() as github:
        where = SecurityTab(
            access=access_of(github.address, given(tmp_path)) or pytest.fail("nobody asks"),
            repository="towline/shop",
            commit="c0ffee" + "0" * 34,
            ref="refs/heads/main",
        )
        upload = asyncio.run(upload_sarif(where, '{"version": "2.1.0", "runs": []}', tool="Towpath"))
        assert github.asked[-1] == ("GET", f"/repos/towline/shop/code-scanning/sarifs/{upload}")
        assert github.complaints == []
        assert gzip.decompress(base64.b64decode(github.sarifs[0]["sarif"])).startswith(b'{"version"')
