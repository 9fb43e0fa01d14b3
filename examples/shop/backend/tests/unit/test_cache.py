"""The product list's cache, with a server that speaks as much of Redis's protocol as it takes."""

import socketserver
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from shop.cache import ProductCache

pytestmark = pytest.mark.unit
PRODUCTS: list[dict[str, Any]] = [{"id": 1, "name": "Canal map"}]


class Speaker(socketserver.StreamRequestHandler):
    """GET, SET and DEL over one dictionary; every other command is agreed to."""

    kept: ClassVar[dict[bytes, bytes]] = {}

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:-2])
            self.wfile.write(self.answer(words))

    def answer(self, words: list[bytes]) -> bytes:
        match words[0].upper():
            case b"GET":
                found = self.kept.get(words[1])
                return b"$-1\r\n" if found is None else b"$%d\r\n%s\r\n" % (len(found), found)
            case b"SET":
                self.kept[words[1]] = words[2]
            case b"DEL":
                return b":1\r\n" if self.kept.pop(words[1], None) else b":0\r\n"
        return b"+OK\r\n"


@pytest.fixture
def url() -> Iterator[str]:
    Speaker.kept = {}
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Speaker) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0?protocol=2"
        server.shutdown()


def test_what_is_kept_is_not_read_again(url: str) -> None:
    cache = ProductCache(url)
    assert cache.products(lambda: PRODUCTS) == PRODUCTS
    assert cache.products(lambda: []) == PRODUCTS
    cache.forget()
    assert cache.products(lambda: []) == []


@pytest.mark.parametrize("url", ["", "redis://127.0.0.1:1/0"])
def test_without_redis_everything_is_read(url: str) -> None:
    cache = ProductCache(url)
    assert cache.products(lambda: PRODUCTS) == PRODUCTS
    cache.forget()
    assert cache.products(lambda: []) == []


def test_what_cannot_be_read_is_read_anew(url: str) -> None:
    cache = ProductCache(url)
    cache.products(lambda: PRODUCTS)
    Speaker.kept = dict.fromkeys(Speaker.kept, b"{broken")
    assert cache.products(lambda: []) == []
