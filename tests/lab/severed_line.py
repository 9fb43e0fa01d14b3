"""A line to an address that can be cut and mended: what is under way breaks, what is begun meanwhile is refused."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Line:
    """Forwards connections for as long as it is whole."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = set[socket.socket]()
        self._guard = threading.Lock()
        self._is_cut = False
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def cut(self) -> None:
        with self._guard:
            self._is_cut = True
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        with self._guard:
            self._is_cut = False

    @contextmanager
    def cut_for(self, seconds: float) -> Iterator[None]:
        """From now on, and mended by itself."""
        self.cut()
        timer = threading.Timer(seconds, self.mend)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self.mend()

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._forward(near)

    def _forward(self, near: socket.socket) -> None:
        with self._guard:
            if self._is_cut:
                near.close()
                return
        try:
            far = socket.create_connection(self._there, timeout=5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        with self._guard:
            self._open |= {near, far}
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while heard := source.recv(65536):
                target.sendall(heard)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with self._guard:
            self._open.discard(source)
        source.close()
