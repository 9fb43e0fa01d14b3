"""Runs a program in a room without a network and gives it one way out: a proxy behind a socket.

`python way_in.py SOCKET PROGRAM ...` listens on the room's own loopback, tells the program about it as package managers
like to be told, and ends as the program ended. What is not allowed out is said on standard error, once for each place.
It is a script of its own with the standard library alone, since it is started in every such room.
"""

import os
import signal
import socket
import sys
import threading
from contextlib import suppress

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "npm_config_proxy", "npm_config_https_proxy", "pip_proxy")
_YARN = ("YARN_HTTP_PROXY", "YARN_HTTPS_PROXY")
_PAST = ("no_proxy", "NO_PROXY", "npm_config_noproxy", "NPM_CONFIG_NOPROXY")
_REFUSAL = b"HTTP/1.1 403 towpath: "
_CHUNK = 1 << 16


def main(argv: list[str]) -> int:
    place, *program = argv
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        child = os.fork()
        if not child:
            _become(program, listener.getsockname()[1])
        threading.Thread(target=_listen, args=(listener, place, set[bytes]()), daemon=True).start()
        _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        _end_by(os.WTERMSIG(status))
    return os.waitstatus_to_exitcode(status)


def _become(program: list[str], port: int) -> None:
    for name in (*_PROXIES, *map(str.upper, _PROXIES), *_YARN):
        os.environ[name] = f"http://127.0.0.1:{port}"
    for name in _PAST:
        os.environ.pop(name, None)
    try:
        os.execvp(program[0], program)  # noqa: S606  (no shell is wanted)
    except OSError as error:
        os.write(2, f"{program[0]} could not be started: {error.strerror}\n".encode())
    os._exit(127)


def _end_by(number: int) -> None:
    """Whoever waits for this process is to see how the program ended."""
    with suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _listen(listener: socket.socket, place: str, said: set[bytes]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, place, said), daemon=True).start()


def _serve(client: socket.socket, place: str, said: set[bytes]) -> None:
    with suppress(OSError), client, socket.socket(socket.AF_UNIX) as way:
        way.connect(place)
        sending = threading.Thread(target=_pass_on, args=(client, way), daemon=True)
        sending.start()
        first = way.recv(_CHUNK)
        if first.startswith(_REFUSAL):
            _tell(first, said)
        client.sendall(first)
        _pass_on(way, client)
        sending.join()


def _tell(refusal: bytes, said: set[bytes]) -> None:
    line = refusal.partition(b"\r\n")[0].partition(b" 403 ")[2]
    if line not in said:
        said.add(line)
        os.write(2, line + b"\n")


def _pass_on(source: socket.socket, goal: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            goal.sendall(data)
    with suppress(OSError):
        goal.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
