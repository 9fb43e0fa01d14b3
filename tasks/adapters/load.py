"""A steady stream of requests to an environment on this machine, counted: for the demonstration and for tests.

Requests start at their times whether or not earlier ones have been answered, as users do, so that a stall shows as
late and failed requests and not as fewer of them. It only ever asks this machine.
"""

import asyncio
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tasks.adapters.state import write_atomically

_HERE = ("127.0.0.1", "localhost", "::1")
_TALLY_SECONDS = 0.5
_TIMEOUT_SECONDS = 10.0


class LoadRefused(Exception):
    """The address is none of this machine's."""


@dataclass
class Tally:
    """What came back so far. `unanswered` counts requests that got no answer at all, by the kind of trouble."""

    requests: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    unanswered: dict[str, int] = field(default_factory=dict)
    slowest_seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Answers of 500 and above, and no answers."""
        return sum(count for status, count in self.by_status.items() if status >= "500") + sum(self.unanswered.values())

    def add(self, status: int, seconds: float) -> None:
        self.requests += 1
        self.by_status[str(status)] = self.by_status.get(str(status), 0) + 1
        self.slowest_seconds = max(self.slowest_seconds, seconds)

    def miss(self, trouble: str) -> None:
        self.requests += 1
        self.unanswered[trouble] = self.unanswered.get(trouble, 0) + 1


async def send(
    url: str, *, per_second: float, seconds: float, tally: Tally, stop: asyncio.Event, keeps_alive: bool = True
) -> None:
    """GET the address so often for so long, or until asked to stop. Raises LoadRefused."""
    if urlsplit(url).hostname not in _HERE:
        raise LoadRefused(f"{url} is not on this machine, and load is sent nowhere else")
    limits = httpx.Limits(max_keepalive_connections=None if keeps_alive else 0)
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False, limits=limits) as client:
        began, sent = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while not stop.is_set() and time.monotonic() - began < seconds:
                group.create_task(_ask(client, url, tally))
                sent += 1
                await asyncio.sleep(max(0.0, began + sent / per_second - time.monotonic()))


async def _ask(client: httpx.AsyncClient, url: str, tally: Tally) -> None:
    began = time.monotonic()
    try:
        answer = await client.get(url)
    except httpx.HTTPError as failure:
        tally.miss(type(failure).__name__)
    else:
        tally.add(answer.status_code, time.monotonic() - began)


async def send_and_tell(url: str, *, per_second: float, seconds: float, tally_file: Path, stop: asyncio.Event) -> Tally:
    """As `send`, with the tally on disk all the while, for whoever watches from another process."""
    tally = Tally()
    telling = asyncio.create_task(_keep_telling(tally, tally_file))
    try:
        await send(url, per_second=per_second, seconds=seconds, tally=tally, stop=stop)
    finally:
        telling.cancel()
        write_tally(tally, tally_file)
    return tally


async def _keep_telling(tally: Tally, tally_file: Path) -> None:
    while True:
        write_tally(tally, tally_file)
        await asyncio.sleep(_TALLY_SECONDS)


def write_tally(tally: Tally, tally_file: Path) -> None:
    write_atomically(tally_file, json.dumps(asdict(tally)))


def read_tally(tally_file: Path) -> Tally:
    try:
        return Tally(**json.loads(tally_file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return Tally()
