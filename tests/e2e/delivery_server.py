"""The component of the delivered target: a small HTTP server that counts what it answers, and is bad when told to.

Run by path with nothing but the standard library: `delivery_server.py PORT DATA`. What it is comes from its
configuration: LABEL is its answer, FAIL_PERCENT how many of its answers are errors, FAIL_WHILE a file during whose
existence every third is, START_SECONDS how long it takes to be ready, and with REFUSE_ROUTED it is ready for nobody who
comes by a router. `/notes` is an error when the database at DATABASE_URL has no table notes_0001. At its end it leaves
its counts in DATA/counts.
"""

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

LABEL = os.environ.get("LABEL", "plain")
FAIL_PERCENT = int(os.environ.get("FAIL_PERCENT", "0"))
FAIL_WHILE = os.environ.get("FAIL_WHILE", "")
REFUSE_ROUTED = bool(os.environ.get("REFUSE_ROUTED"))
START_SECONDS = float(os.environ.get("START_SECONDS", "0"))
HEAD = "HTTP/1.1 {status} {word}\r\nContent-Length: {length}\r\nContent-Type: text/plain\r\n{close}\r\n"
METRICS = """# TYPE web_requests_total counter
web_requests_total {requests}
# TYPE web_errors_total counter
web_errors_total {errors}
# TYPE web_seconds histogram
web_seconds_bucket{{le="0.1"}} {requests}
web_seconds_bucket{{le="1.0"}} {requests}
web_seconds_bucket{{le="+Inf"}} {requests}
web_seconds_count {requests}
web_seconds_sum {sum}
"""


class Server:
    """What it counted, and which connections are open."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.requests = 0
        self.errors = 0
        self.busy = 0
        self.is_ending = False
        self.writers: set[asyncio.StreamWriter] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            while line := await reader.readline():
                self.busy += 1
                try:
                    is_routed = False
                    while (header := await reader.readline()).strip():
                        is_routed |= header.lower().startswith(b"x-forwarded-for:")
                    path = line.split()[1].decode()
                    if REFUSE_ROUTED and is_routed:
                        path = "/refused"
                    await self._answer(path, writer, is_old=b"HTTP/1.0" in line)
                finally:
                    self.busy -= 1
                if self.is_ending or b"HTTP/1.0" in line:
                    break
        except (ConnectionError, IndexError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _answer(self, path: str, writer: asyncio.StreamWriter, *, is_old: bool) -> None:
        status, body = self._said(path)
        close = "Connection: close\r\n" if is_old or self.is_ending else ""
        word = {200: "OK", 404: "Not Found"}.get(status, "Trouble")
        writer.write((HEAD.format(status=status, word=word, length=len(body), close=close) + body).encode())
        await writer.drain()

    def _said(self, path: str) -> tuple[int, str]:
        match path:
            case "/notes":
                with closing(sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("sqlite:///"))) as database:
                    found = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'notes_0001'").fetchone()
                return (200 if found else 500), ""
            case "/ready":
                return (200 if time.monotonic() - self.began >= START_SECONDS else 503), ""
            case "/live":
                return 200, ""
            case "/metrics":
                sum_seconds = self.requests / 1000
                return 200, METRICS.format(requests=self.requests, errors=self.errors, sum=sum_seconds)
            case "/api":
                return self._counted()
            case _:
                return 404, ""

    def _counted(self) -> tuple[int, str]:
        self.requests += 1
        is_bad = self.requests * FAIL_PERCENT % 100 < FAIL_PERCENT
        if FAIL_WHILE and self.requests % 3 == 0:
            is_bad = Path(FAIL_WHILE).exists()
        self.errors += is_bad
        return (500 if is_bad else 200), LABEL


async def main(port: int, data: Path) -> None:
    server, ending = Server(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    listening = await asyncio.start_server(server.connected, "127.0.0.1", port, backlog=512)
    await ending.wait()
    server.is_ending = True
    listening.close()
    while server.busy:
        await asyncio.sleep(0.01)
    for writer in tuple(server.writers):
        writer.close()
    counts = data / "counts"
    counts.mkdir(parents=True, exist_ok=True)
    told = {"label": LABEL, "requests": server.requests, "errors": server.errors}
    (counts / f"{LABEL}-{os.getpid()}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
