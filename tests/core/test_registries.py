"""What counts as a registry, and what a client asks of its proxy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.registries import Address, NotForProxy, Wanted, for_proxy, registries_in, registries_named, wanted


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("registry=https://npm.example/path/", {Address("npm.example", 443)}),
        ("index-url = http://me:secret@127.0.0.1:3141/simple", {Address("127.0.0.1", 3141)}),
        (
            "UV_INDEX=https://A.example/x https://b.example:8443/y",
            {Address("a.example", 443), Address("b.example", 8443)},
        ),
        ('[[index]]\nurl = "https://one.example/simple"', {Address("one.example", 443)}),
        ("https-proxy=http://proxy.example:3128", set()),
        ("find-links = /opt/wheels", set()),
        ("registry=https://npm.example:port/", set()),
        ("", set()),
    ],
)
def test_registries_of_a_configuration(text: str, found: set[Address]) -> None:
    """Every web address in it, by name and port, but for proxies."""
    assert registries_in([text]) == found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("one.example, two.example:8443", {Address("one.example", 443), Address("two.example", 8443)}),
        ("http://three.example/x", {Address("three.example", 80)}),
        ("four.example:port", set()),
        (" ", set()),
    ],
)
def test_registries_by_name(words: str, found: set[Address]) -> None:
    """Hosts, hosts with a port, or URLs; TLS unless said otherwise."""
    assert registries_named(words) == found


@pytest.mark.parametrize(
    ("head", "asked"),
    [
        (b"CONNECT Pypi.org:443 HTTP/1.1\r\nHost: pypi.org:443\r\n\r\n", Wanted(Address("pypi.org", 443))),
        (b"CONNECT [::1]:4200 HTTP/1.1\r\n\r\n", Wanted(Address("::1", 4200))),
        (
            (
                b"GET http://h.example/simple/a?b=c HTTP/1.1\r\nHost: h.example\r\nProxy-Connection: keep-alive\r\n"
                b"Connection: keep-alive\r\nAccept: */*\r\n\r\n"
            ),
            Wanted(
                Address("h.example", 80),
                b"GET /simple/a?b=c HTTP/1.1\r\nHost: h.example\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            ),
        ),
        (
            b"GET http://h.example:81 HTTP/1.1\r\n\r\n",
            Wanted(Address("h.example", 81), b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"),
        ),
    ],
)
def test_what_a_client_asks(head: bytes, asked: Wanted) -> None:
    """A tunnel is handed through as it is; a plain request is said as the server takes it, alone on its connection."""
    assert wanted(head) == asked


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"CONNECT pypi.org HTTP/1.1\r\n\r\n",
        b"CONNECT :443 HTTP/1.1\r\n\r\n",
        b"CONNECT a:99999 HTTP/1.1\r\n\r\n",
        b"GET ftp://h/ HTTP/1.1\r\n\r\n",
        b"GET http:// HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request(head: bytes) -> None:
    """What names no host and port is refused."""
    with pytest.raises(NotForProxy):
        wanted(head)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (
            b"CONNECT h.example:443 HTTP/1.1\r\nHost: other\r\n\r\n",
            b"CONNECT h.example:443 HTTP/1.1\r\nHost: h.example:443\r\n\r\n",
        ),
        (b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n", b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n"),
        (
            b"GET http://u@h.example/a b HTTP/1.1\r\n\r\n",
            None,
        ),
        (
            b"GET http://u@h.example/a HTTP/1.1\r\nAccept: x\r\n\r\n",
            b"GET http://h.example:80/a HTTP/1.1\r\nAccept: x\r\nConnection: close\r\n\r\n",
        ),
    ],
)
def test_what_a_further_proxy_is_asked(head: bytes, said: bytes | None) -> None:
    """The address as it was read here, and nothing that could be read as another."""
    if said is None:
        with pytest.raises(NotForProxy):
            wanted(head)
        return
    assert for_proxy(wanted(head)) == said


@given(st.binary(max_size=200))
def test_any_bytes(head: bytes) -> None:
    """Whatever a room sends is an address or refused, and an address always has a port that exists."""
    try:
        asked = wanted(head)
    except NotForProxy:
        return
    assert asked.address.host
    assert 0 < asked.address.port < 65_536
