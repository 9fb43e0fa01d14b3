"""One address of this machine for one host name of a gateway, since the names of tests are in no DNS.

It hands every request on with the Host header that the gateway routes by, and answers what it was answered. It must
never make an answer up: what the gateway does not answer is a 502 that says so.
"""

import http.client
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_KEPT = ("content-type", "location", "retry-after")


@contextmanager
def front_door(gateway: str, host: str) -> Iterator[str]:
    """The address, http://127.0.0.1:port, for as long as the context lasts."""
    handler = type("Handler", (_Handler,), {"gateway": gateway, "host": host})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway = host = ""

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {"Host": self.host, "Content-Type": self.headers.get("Content-Type") or "application/json"}
        try:
            connection = http.client.HTTPConnection(self.gateway, timeout=10.0)
            connection.request(self.command, self.path, body=body or None, headers=headers)
            answer = connection.getresponse()
            status, told, content = answer.status, answer.getheaders(), answer.read()
        except (OSError, http.client.HTTPException) as silent:
            status, told, content = 502, [], f"the gateway does not answer: {silent!r}".encode()
        finally:
            connection.close()
        self.send_response(status)
        for name, value in told:
            if name.lower() in _KEPT:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _hand_on  # noqa: N815  (the names that the base class calls)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  (the base class's name)
        return
