"""The one way out of a stranger's room, tried from a real room against real servers."""

import json
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tasks.adapters.process import Command, Completion, Ending, Need, run
from tasks.adapters.sealing import Seal, sealed
from tasks.adapters.way_out import way_out
from tasks.core.registries import Address

# Asks as package managers do: through the proxy that the variables name.
ASKING = """
import json, sys, urllib.request
def ask(url):
    try:
        return urllib.request.urlopen(url, timeout=10).read().decode()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
print(json.dumps([ask(url) for url in sys.argv[1:]]))
"""


class Answering(BaseHTTPRequestHandler):
    """Says who was asked for what."""

    def do_GET(self) -> None:
        body = f"{self.path} of {self.headers['Host']} {self.headers.get('Proxy-Authorization', '')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is http.server's)
        """Nothing."""


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def registry() -> Iterator[int]:
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Answering)) as port:
        yield port


def seal(tmp_path: Path) -> Seal:
    (tmp_path / "slot").mkdir(exist_ok=True)
    return Seal(readable=(), writable=(tmp_path / "slot",), home=tmp_path / "own", scratch=tmp_path)


async def inside(tmp_path: Path, *argv: str, needs: frozenset[Need] = frozenset({Need.REGISTRY})) -> Completion:
    kept = seal(tmp_path)
    command = Command(
        argv=argv,
        directory=tmp_path / "slot",
        log=tmp_path / "log",
        stdout=tmp_path / "said",
        timeout_seconds=30,
        needs=needs,
    )
    with sealed(kept):
        return await run(command)


async def asked(tmp_path: Path, *urls: str) -> list[str]:
    completion = await inside(tmp_path, sys.executable, "-c", ASKING, *urls)
    assert completion.exit_code == 0, completion.tail
    answers: list[str] = json.loads((tmp_path / "said").read_text())
    return answers


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_a_registry_and_nothing_else(registry: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine is configured with answers, also twice at once; the next port of the same host is refused."""
    monkeypatch.setenv("UV_INDEX_URL", f"http://someone:secret@127.0.0.1:{registry}/simple")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = await asked(
            tmp_path, f"http://127.0.0.1:{registry}/a", f"http://127.0.0.1:{port}/b", "http://h.invalid/"
        )

    assert told[0].strip() == f"/a of 127.0.0.1:{registry}"
    assert "403" in told[1]
    assert "403" in told[2]
    assert f"towpath: 127.0.0.1:{port} is no registry that this room may reach" in (tmp_path / "log").read_text()
    assert not list((tmp_path / "scratch").iterdir())


async def test_without_the_way_there_is_nothing(registry: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does not ask the proxy reaches no address, and one that installs nothing has no proxy either."""
    monkeypatch.setenv("TOWPATH_REGISTRIES", f"http://127.0.0.1:{registry}")
    direct = f"import socket; socket.create_connection(('127.0.0.1', {registry}), timeout=5)"
    for needs in (frozenset({Need.REGISTRY}), frozenset[Need]()):
        completion = await inside(tmp_path, sys.executable, "-c", direct, needs=needs)
        assert "ConnectionRefusedError" in completion.tail


@pytest.mark.parametrize(
    ("program", "ending", "code", "words"),
    [
        (("sh", "-c", "exit 7"), Ending.EXITED, 7, ""),
        (("true",), Ending.EXITED, 0, ""),
        (("no-such-program",), Ending.EXITED, 127, "no-such-program could not be started: No such file"),
    ],
)
async def test_it_ends_as_the_program_ended(
    tmp_path: Path, program: tuple[str, ...], ending: Ending, code: int, words: str
) -> None:
    """The same exit code, and one line when there was nothing to start."""
    completion = await inside(tmp_path, *program)
    assert (completion.ending, completion.exit_code) == (ending, code)
    assert words in completion.tail


async def test_a_long_installation_is_stopped_with_its_way(tmp_path: Path) -> None:
    """A deadline ends the program behind the way in, too."""
    command = Command(
        argv=("sleep", "600"),
        directory=tmp_path,
        log=tmp_path / "log",
        timeout_seconds=1,
        needs=frozenset({Need.REGISTRY}),
    )
    began = time.monotonic()
    with sealed(seal(tmp_path)):
        completion = await run(command)
    assert completion.ending is Ending.TIMED_OUT
    assert time.monotonic() - began < 20


async def test_the_machines_own_proxy(registry: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine itself reaches through a proxy goes through it, with a password that the room never sees."""
    monkeypatch.setenv("http_proxy", f"http://someone:hidden@127.0.0.1:{registry}")
    monkeypatch.setenv("TOWPATH_REGISTRIES", "http://far.example")
    (told,) = await asked(tmp_path, "http://far.example/x")
    assert told == "http://far.example:80/x of far.example Basic c29tZW9uZTpoaWRkZW4="

    shown = await inside(tmp_path, sys.executable, "-c", "import os; print(dict(os.environ))")
    assert shown.exit_code == 0
    assert "hidden" not in (tmp_path / "said").read_text()


class Refusing(BaseHTTPRequestHandler):
    """A proxy that keeps its line open after a refusal, as HTTP lets it, and then answers whatever is asked."""

    protocol_version = "HTTP/1.1"

    def do_CONNECT(self) -> None:
        self.send_response(407)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"secret")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is http.server's)
        """Nothing."""


@pytest.mark.parametrize("first", [b"CONNECT far.example:443 HTTP/1.1", b"GET http://far.example/ HTTP/1.1"])
def test_nothing_more_reaches_the_machines_proxy(first: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent after a request, or after a tunnel that was refused, is no second request to that proxy."""
    allowed = frozenset({Address("far.example", 443), Address("far.example", 80)})
    second = b"GET http://metadata.internal/secret HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Refusing)) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        with way_out(tmp_path, allowed) as place, socket.socket(socket.AF_UNIX) as line:
            line.connect(str(place))
            line.sendall(first + b"\r\n\r\n" + second)
            line.shutdown(socket.SHUT_WR)
            said = b"".join(iter(lambda: line.recv(1000), b""))
    assert said.count(b"secret") == (0 if first.startswith(b"CONNECT") else 1)
    assert said.startswith(b"HTTP/1.1 502 towpath: ") == first.startswith(b"CONNECT")


def test_the_socket(tmp_path: Path) -> None:
    """It may lie in a folder of any length, says what is wrong in one line, and closes with the context."""
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    near = tmp_path / "near"
    near.symlink_to(folder)
    with way_out(folder, frozenset({Address("127.0.0.1", 9)})) as place:
        said = [_say(near / place.name, head) for head in (b"hello\r\n\r\n", b"CONNECT 127.0.0.1:9 HTTP/1.1\r\n\r\n")]
    assert said[0].startswith(b"HTTP/1.1 400 towpath: ")
    assert said[1].startswith(b"HTTP/1.1 502 towpath: 127.0.0.1:9 cannot be reached: ")
    with pytest.raises(OSError, match=r"refused|No such"):
        _say(near / place.name, b"")


def _say(place: Path, head: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(place))
        line.sendall(head)
        return line.recv(1000)
