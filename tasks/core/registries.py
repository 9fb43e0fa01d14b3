"""Which addresses a stranger's installation may reach: registries of packages, and nothing else.

The public ones, those that this machine's own configuration names, and those its operator adds. What the target says
never counts, since the target is the stranger's. A request is read from its first line alone, as RFC 9110 (9.3.6)
and RFC 9112 (3.2) form it for a proxy.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

_ADDRESS = re.compile(r"https?://[^\s\"'<>,]+")
_PROXY_LINE = re.compile(r"proxy", re.IGNORECASE)
_HOP = ("connection:", "proxy-connection:", "proxy-authorization:", "keep-alive:")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, order=True)
class Address:
    """A host by name, in lower case, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class Wanted:
    """Where a request for a proxy is to go; `head` is what that host is sent first, empty for a tunnel."""

    address: Address
    head: bytes = b""


PUBLIC = frozenset(
    Address(host, 443) for host in ("pypi.org", "files.pythonhosted.org", "registry.npmjs.org", "registry.yarnpkg.com")
)


class NotForProxy(ValueError):
    """A request that no proxy could serve."""


def registries_in(texts: Iterable[str]) -> frozenset[Address]:
    """Every address of a web server in these configurations, but for those of proxies."""
    lines = (line for text in texts for line in text.splitlines() if not _PROXY_LINE.search(line.partition("=")[0]))
    found = (_address_of(url) for line in lines for url in _ADDRESS.findall(line))
    return frozenset(address for address in found if address is not None)


def registries_named(words: str) -> frozenset[Address]:
    """Addresses in a list separated by spaces or commas: HOST, HOST:PORT or URL. What is none of these is left out."""
    urls = (word if "://" in word else f"https://{word}" for word in words.replace(",", " ").split())
    return frozenset(address for url in urls if (address := _address_of(url)) is not None)


def _address_of(url: str) -> Address | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return Address(parts.hostname.lower(), port) if parts.hostname and port else None


def wanted(head: bytes) -> Wanted:
    """What a client asks of its proxy, by the head of its request. Raises NotForProxy."""
    first, _, rest = head.partition(b"\r\n")
    match first.decode("latin-1").split(" "):
        case ["CONNECT", place, _]:
            address = _address_of(f"https://{place}")
            if address is not None and place.rpartition(":")[2].isdigit():
                return Wanted(address)
        case [method, url, version] if url.startswith("http://"):
            address = _address_of(url)
            if address is not None:
                return Wanted(address, _as_origin(method, url, version, rest.decode("latin-1")).encode("latin-1"))
    raise NotForProxy("no request for a proxy")


def for_proxy(asked: Wanted) -> bytes:
    """The same for a further proxy, put together anew, so that no other reading of the client's words counts."""
    if not asked.head:
        return f"CONNECT {asked.address} HTTP/1.1\r\nHost: {asked.address}\r\n\r\n".encode("latin-1")
    method, target, rest = asked.head.split(b" ", 2)
    return b" ".join((method, f"http://{asked.address}".encode("latin-1") + target, rest))


def _as_origin(method: str, url: str, version: str, rest: str) -> str:
    """The request as the server itself takes it, alone on its connection, without what was meant for the proxy."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = (line for line in rest.split("\r\n") if line and not line.lower().startswith(_HOP))
    return "\r\n".join((f"{method} {target} {version}", *kept, "Connection: close", "", ""))
