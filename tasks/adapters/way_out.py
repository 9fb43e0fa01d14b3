"""The one way out of a stranger's room: a proxy on a socket that leads to registries and nowhere else.

It stands outside, for as long as the rooms of a run do. Names are looked up here, so that nothing of the machine's
network can be named from inside, not its loopback, where a Prefect server listens, nor any address that happens to be
private. A proxy that the machine itself needs is gone through, with its password, which never gets into a room.
"""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from anyio.from_thread import start_blocking_portal

from tasks.core.registries import Address, NotForProxy, Wanted, for_proxy, wanted

_HEAD_SECONDS = 30.0
_CONNECT_SECONDS = 30.0
_HEAD_BYTES = 1 << 16
_CHUNK = 1 << 16
_SOCKET = "way-out"


@contextmanager
def way_out(folder: Path, allowed: frozenset[Address]) -> Iterator[Path]:
    """The socket to reach these addresses through, in a private folder, until the context ends."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_open(folder, allowed)):
        yield folder / _SOCKET


@asynccontextmanager
async def _open(folder: Path, allowed: frozenset[Address]) -> AsyncIterator[None]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await _serve(reader, writer, allowed)
        writer.close()

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # NOTE: the path of a socket may have 107 bytes at most, which a folder of ours can exceed.
        server = await asyncio.start_unix_server(serve, f"/proc/self/fd/{descriptor}/{_SOCKET}", limit=_HEAD_BYTES)
    finally:
        os.close(descriptor)
    async with server:
        yield


async def _serve(client: asyncio.StreamReader, answer: asyncio.StreamWriter, allowed: frozenset[Address]) -> None:
    head = await asyncio.wait_for(client.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
    try:
        asked = wanted(head)
    except NotForProxy:
        return await _refuse(answer, "400 towpath: not a request for a proxy")
    if asked.address not in allowed:
        return await _refuse(answer, f"403 towpath: {asked.address} is no registry that this room may reach")
    try:
        reader, writer = await asyncio.wait_for(_reach(asked), _CONNECT_SECONDS)
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        return await _refuse(answer, f"502 towpath: {asked.address} cannot be reached: {reason}")
    try:
        if asked.head:
            # NOTE: nothing more of the client's, or a second request could be for whatever a proxy reaches.
            await _pass_on(reader, answer)
        else:
            answer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_pass_on(client, writer), _pass_on(reader, answer))
    finally:
        writer.close()


async def _refuse(answer: asyncio.StreamWriter, status: str) -> None:
    answer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode("latin-1", "replace"))
    await answer.drain()


async def _reach(asked: Wanted) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A line to the host, through the machine's own proxy where it has one; a plain request was said there already."""
    proxy = _proxy_for(asked)
    if proxy is None:
        reader, writer = await asyncio.open_connection(asked.address.host, asked.address.port)
        writer.write(asked.head)
        return reader, writer
    reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port or 80)
    writer.write(_with_credentials(for_proxy(asked), proxy))
    if not asked.head:
        await _until_through(reader, writer)
    return reader, writer


async def _until_through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Raises OSError for a proxy that did not connect: what came next would be a request to it, for any place."""
    try:
        said = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as cut:
        writer.close()
        raise OSError("the proxy of this machine gave no answer") from cut
    status = said.partition(b"\r\n")[0].decode("latin-1")
    if status.split(" ")[1:2] != ["200"]:
        writer.close()
        raise OSError(f"the proxy of this machine answered {status}")


def _proxy_for(asked: Wanted) -> SplitResult | None:
    known = getproxies()
    url = known.get("http" if asked.head else "https") or known.get("all")
    if not url or proxy_bypass(str(asked.address)):
        return None
    return urlsplit(url if "://" in url else f"http://{url}")


def _with_credentials(head: bytes, proxy: SplitResult) -> bytes:
    if not proxy.username:
        return head
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    line, _, rest = head.partition(b"\r\n")
    return line + b"\r\nProxy-Authorization: Basic " + base64.b64encode(pair) + b"\r\n" + rest


async def _pass_on(source: asyncio.StreamReader, goal: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(_CHUNK):
            goal.write(data)
            await goal.drain()
    with suppress(OSError, RuntimeError):
        goal.write_eof()
