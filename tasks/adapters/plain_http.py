"""Plain HTTP to what runs on this machine, without the cost of a client library.

HTTP/1.0 and one connection per question: an answer ends where the connection does, so nothing has to be decoded and
no connection has to be kept. It costs a tenth of what a client library does, which is what lets a supervisor ask a
dozen processes every second.
"""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

_MOST_BYTES = 16 << 20


class Unanswered(Exception):
    """Nobody answered, or nothing that could be read; the text says which, in a few words."""


async def get(url: str, *, seconds: float) -> tuple[int, bytes]:
    """The status and body of a GET. Raises Unanswered."""
    try:
        async with asyncio.timeout(seconds):
            return _read(await _exchanged(url))
    except TimeoutError:
        raise Unanswered(f"no answer within {seconds:g} s") from None
    except OSError as error:
        raise Unanswered(f"{error.strerror or error}".lower()) from error


async def _exchanged(url: str) -> bytes:
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {parts.netloc}\r\nAccept: */*\r\n\r\n".encode())
        answer = bytearray()
        while piece := await reader.read(1 << 16):
            answer += piece
            if len(answer) > _MOST_BYTES:
                raise Unanswered("an answer without end")
        return bytes(answer)
    finally:
        # NOTE: not close(), which would wait for an instance that hangs to take what is still unsent.
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def _read(answer: bytes) -> tuple[int, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise Unanswered("an answer that is not HTTP" if answer else "the connection was closed without an answer")
    for line in head.lower().splitlines()[1:]:
        name, _, value = line.partition(b":")
        if name == b"transfer-encoding":
            raise Unanswered("an answer in pieces, which HTTP/1.0 does not know")
        if name == b"content-length" and value.strip() != b"%d" % len(body):
            raise Unanswered(f"an answer that was cut off after {len(body)} bytes")
    return int(words[1]), body
