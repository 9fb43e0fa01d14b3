"""Plain HTTP to this machine: what is no whole answer is no answer, and says why."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tasks.adapters.plain_http import Unanswered, get


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Says this to everybody and hangs up; None hangs on."""
    heard: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await reader.read()
        writer.write(answer or b"")
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", heard
    for writer in writers:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_a_whole_answer_is_returned() -> None:
    """Status and body, of the path and query that were asked for."""
    async with server(b"HTTP/1.1 404 Nope\r\nContent-Length: 4\r\n\r\nbody") as (url, heard):
        assert await get(f"{url}/a?b=c", seconds=5) == (404, b"body")
        assert heard[0].startswith(b"GET /a?b=c HTTP/1.0\r\n")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "closed without an answer"),
        (b"SSH-2.0\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nbody", "cut off after 4 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", "in pieces"),
        (None, "no answer within 0.2 s"),
    ],
)
async def test_what_is_no_whole_answer_says_why(answer: bytes | None, why: str) -> None:
    """Half an exposition would look like counters that fell."""
    async with server(answer) as (url, _):
        with pytest.raises(Unanswered, match=why):
            await get(url, seconds=0.2)


async def test_nobody_there_says_so() -> None:
    """A port nobody listens on refuses."""
    async with server(b"") as (url, _):
        pass
    with pytest.raises(Unanswered, match=r"refused|connect"):
        await get(url, seconds=5)
