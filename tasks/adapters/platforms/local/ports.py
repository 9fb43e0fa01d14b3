"""Ports for instances and for the router's own API.

They lie below the range the kernel takes for outgoing connections, so that the router's own connections never sit on
a port an instance is about to listen on. A port that was given back is not given out again soon, so that a request on
its way to an instance that is gone never reaches another one.
"""

import secrets

from tasks.adapters.daemons import free_port

_FIRST, _LAST = 20_000, 32_000


class Ports:
    """Gives out ports that nobody listens on, one after the other from a random place."""

    def __init__(self) -> None:
        self._next = _FIRST + secrets.randbelow(_LAST - _FIRST)

    def take(self) -> int:
        port = free_port(self._next if self._next < _LAST else _FIRST)
        self._next = port + 1
        return port
