"""A component to try the local platform with: a small HTTP server that says which release it is and fails on demand.

Run by path with nothing but the standard library. `/switch?ready=0` and `/switch?live=0` make its probes fail,
`/crash` ends it, `/shout?bytes=N` makes it talk, `/slow?seconds=N` takes its time, `/child` starts a child in a session
of its own. On SIGTERM it finishes what it has begun.
"""

import asyncio
import os
import signal
import sys
from urllib.parse import parse_qs, urlsplit

RELEASE = os.environ.get("RELEASE", "")
HEAD = "HTTP/1.1 {status} OK\r\nContent-Length: {length}\r\nContent-Type: text/plain\r\n{close}\r\n"
METRICS = """# TYPE web_requests_total counter
web_requests_total{{route="a"}} {first}
web_requests_total{{route="b"}} {second}
# TYPE web_errors_total counter
web_errors_total {errors}
# TYPE web_seconds histogram
web_seconds_bucket{{le="0.1"}} {requests}
web_seconds_bucket{{le="1.0"}} {requests}
web_seconds_bucket{{le="+Inf"}} {requests}
web_seconds_count {requests}
web_seconds_sum 0.5
"""


class Server:
    """What it was told, what it counted, and which connections are open."""

    def __init__(self) -> None:
        self.switches = {"ready": os.environ.get("READY", "1"), "live": "1"}
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
                    await self._answer(line.decode().split()[1], reader, writer, is_old=b"HTTP/1.0" in line)
                finally:
                    self.busy -= 1
                if self.is_ending or b"HTTP/1.0" in line:
                    break
        except (ConnectionError, IndexError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _answer(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_old: bool
    ) -> None:
        while (await reader.readline()).strip():
            pass
        parts = urlsplit(target)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, body = await self._said(parts.path, asked)
        close = "Connection: close\r\n" if is_old or self.is_ending else ""
        writer.write((HEAD.format(status=status, length=len(body.encode()), close=close) + body).encode())
        await writer.drain()

    async def _said(self, path: str, asked: dict[str, str]) -> tuple[int, str]:
        match path:
            case "/ready" | "/live":
                return (200 if self.switches[path[1:]] == "1" else 503), ""
            case "/switch":
                self.switches |= asked
                return 200, ""
            case "/metrics":
                counts = {"first": 1, "second": self.requests, "errors": self.errors, "requests": self.requests}
                return 200, METRICS.format(**counts)
            case "/crash":
                sys.stdout.write("told to crash\n")
                sys.stdout.flush()
                os._exit(3)
            case "/shout":
                sys.stdout.write("x" * int(asked["bytes"]) + "\n")
                sys.stdout.flush()
            case "/slow":
                await asyncio.sleep(float(asked["seconds"]))
            case "/child":
                await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
            case _:
                pass
        self.requests += 1
        return 200, RELEASE


async def main(port: int) -> None:
    server, ending = Server(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    listening = await asyncio.start_server(server.connected, "127.0.0.1", port, backlog=512)
    sys.stdout.write(f"{RELEASE} listens on {port}\n")
    sys.stdout.flush()
    await ending.wait()
    server.is_ending = True
    listening.close()
    while server.busy:
        await asyncio.sleep(0.01)
    for writer in tuple(server.writers):
        writer.close()


asyncio.run(main(int(sys.argv[1])))
