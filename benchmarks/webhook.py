"""What the webhook door bears: deliveries at a steady rate while Prefect is down and the door is killed.

`python -m benchmarks.webhook` sends signed deliveries, some twice, and some forged, from one process on this machine,
to a door that hands over to a Prefect server of its own. In between the server is down and the door is killed with -9.
It promises to count what the server really has: each accepted delivery as one run, by its idempotency key.

With --database postgres a cluster is made in a temporary folder from the PostgreSQL programs of this machine.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.own_postgres import postgres
from deployments.server import ensure_server, stop_all

ROOT = Path(__file__).resolve().parents[1]
SECRET = "a-secret-of-the-benchmark-only"
SETTINGS = 'hand_overs = {hand_overs}\n[repositories."acme/shop"]\n'
_DRAIN_SECONDS = 1800.0
_BUSY_SECONDS = 120.0


@dataclass(frozen=True)
class Plan:
    """What is sent, and what happens meanwhile; parts of the whole say when."""

    deliveries: int = 10_000
    duplicates: int = 2_000
    forged: int = 500
    rate: float = 100.0
    down_seconds: float = 20.0
    database: str = "sqlite"
    hand_overs: int = 1

    @property
    def unique(self) -> int:
        return self.deliveries - self.duplicates - self.forged


@dataclass(frozen=True)
class Figures:
    """What came of it."""

    statuses: dict[int, int]
    retried: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    runs: int
    doubled: int
    lost: int
    strange: int
    send_seconds: float
    drain_seconds: float

    @property
    def lines(self) -> list[str]:
        return [
            f"answers        {', '.join(f'{count} x {status}' for status, count in sorted(self.statuses.items()))}",
            f"sent again     {self.retried} (the door was being killed or started)",
            f"answer         p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, longest {self.max_ms:.0f} ms",
            f"runs           {self.runs}; doubled {self.doubled}, lost {self.lost}, of no delivery {self.strange}",
            f"time           sent in {self.send_seconds:.0f} s, drained {self.drain_seconds:.0f} s later",
        ]


@dataclass(frozen=True)
class Sent:
    """One request to make."""

    id: str
    event: str
    body: bytes
    is_forged: bool

    @property
    def headers(self) -> dict[str, str]:
        secret = "a-forger-knows-no-secret" if self.is_forged else SECRET
        signature = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return {
            "Content-Type": "application/json",
            "X-GitHub-Delivery": self.id,
            "X-GitHub-Event": self.event,
            "X-Hub-Signature-256": f"sha256={signature}",
        }


def delivery(number: int, *, is_forged: bool = False) -> Sent:
    """A version tag or an edited pull request: each asks for one run."""
    commit = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()
    repository = {"full_name": "acme/shop", "clone_url": "https://forge.test/acme/shop.git", "default_branch": "main"}
    common: dict[str, Any] = {"repository": repository, "sender": {"login": "ada", "type": "User"}}
    # NOTE: GitHub's own payloads have some 10 kB.
    common["padding"] = "x" * 8000
    name = f"{'f' if is_forged else 'd'}{number:07d}-0000-4000-8000-000000000000"
    if number % 2:
        return Sent(name, "push", packed(common | {"ref": f"refs/tags/v1.0.{number}", "after": commit}), is_forged)
    head = {"sha": commit, "ref": f"topic-{number}", "repo": {"full_name": "acme/shop"}}
    request = {"number": number + 1, "title": "Fix", "head": head, "base": {"ref": "main"}}
    return Sent(name, "pull_request", packed(common | {"action": "edited", "pull_request": request}), is_forged)


def packed(payload: object) -> bytes:
    return json.dumps(payload).encode()


def key_of(sent: Sent) -> str:
    return f"{sent.id}:{'production' if sent.event == 'push' else 'pr-checks'}"


def mixed(plan: Plan, *, seed: int = 6) -> list[Sent]:
    """Everything in the order of sending; a duplicate comes after its first, at once or much later."""
    chance = random.Random(seed)
    unique = [delivery(number) for number in range(plan.unique)]
    placed = [(float(at), sent) for at, sent in enumerate(unique)]
    for _ in range(plan.duplicates):
        first = chance.randrange(plan.unique)
        placed.append((first + chance.choice([0.5, chance.uniform(1, plan.unique)]), unique[first]))
    placed += [(chance.uniform(0, plan.unique), delivery(number, is_forged=True)) for number in range(plan.forged)]
    return [sent for _, sent in sorted(placed, key=lambda each: each[0])]


@dataclass
class Counted:
    """What the sender saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    retried: int = 0


async def send(client: httpx.AsyncClient, url: str, sent: Sent, counted: Counted) -> None:
    """One delivery, sent again some seconds later where nobody answered, as people have GitHub do after an outage."""
    deadline = time.monotonic() + 120
    while True:
        began = time.perf_counter()
        try:
            answer = await client.post(f"{url}/github", content=sent.body, headers=sent.headers)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the door did not come back"
            counted.retried += 1
            await asyncio.sleep(random.uniform(0.5, 5.0))
            continue
        counted.seconds.append(time.perf_counter() - began)
        counted.statuses[answer.status_code] += 1
        return


async def send_all(plan: Plan, url: str, counted: Counted) -> None:
    """At the rate, whatever the answers do."""
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
    async with httpx.AsyncClient(limits=limits, timeout=30, trust_env=False) as client:
        began, parts = time.monotonic(), []
        for number, sent in enumerate(mixed(plan)):
            await asyncio.sleep(max(0.0, began + number / plan.rate - time.monotonic()))
            parts.append(asyncio.create_task(send(client, url, sent, counted)))
        await asyncio.gather(*parts)


class DoorProcess:
    """The door as a program, on a port that stays."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._launch()
        await self._until_answering()

    def _launch(self) -> None:
        environment = os.environ | {"TOWPATH_HOME": str(self._home), "TOWPATH_WEBHOOK_SECRETS": SECRET}
        environment.pop("PREFECT_API_URL", None)
        with (self._home / "door.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deployments.cli", "webhook", "--port", str(self.port)],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )

    async def _until_answering(self) -> None:
        deadline = time.monotonic() + 60
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    await client.get(f"{self.url}/healthz")
                except httpx.TransportError:
                    assert time.monotonic() < deadline, f"see {self._home / 'door.log'}"
                    await asyncio.sleep(0.1)
                else:
                    return

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _ignore(_: str) -> None:
    return None


@asynccontextmanager
async def prefect(home: Path, database: str | None) -> AsyncIterator[None]:
    await ensure_server(home, database=database, on_progress=_ignore)
    try:
        yield
    finally:
        await stop_all(home)


def api(home: Path) -> str:
    return str(json.loads((home / "server" / "server.json").read_bytes())["url"])


async def _posted(client: httpx.AsyncClient, path: str, body: object) -> Any:
    """A server on SQLite is busy at times, and says 503; Prefect's own client asks again too."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while (answer := await client.post(path, json=body)).status_code == httpx.codes.SERVICE_UNAVAILABLE:
        assert time.monotonic() < deadline, "the Prefect server was busy all the time"
        await asyncio.sleep(0.5)
    return answer.raise_for_status().json()


async def register(api_url: str) -> None:
    """The deployments that the deliveries ask for; nobody runs them."""
    async with httpx.AsyncClient(base_url=api_url, timeout=60, trust_env=False) as client:
        for name in ("production", "pr-checks"):
            flow = (await _posted(client, "/flows/", {"name": name}))["id"]
            words = {name: {"type": "string"} for name in ("target", "ref", "base", "title", "version", "who", "why")}
            more = {"origin": {"type": "object"}, "wait_seconds": {"type": "number"}}
            schema = {"type": "object", "properties": words | more}
            body = {"name": name, "flow_id": flow, "parameter_openapi_schema": schema, "enforce_parameter_schema": True}
            await _posted(client, "/deployments/", body)


async def keys_at(api_url: str) -> list[str]:
    """The idempotency key of every run that the server has."""
    found: list[str] = []
    async with httpx.AsyncClient(base_url=api_url, timeout=60, trust_env=False) as client:
        while True:
            asked = {"limit": 200, "offset": len(found), "sort": "ID_DESC"}
            page = await _posted(client, "/flow_runs/filter", asked)
            found += [run["idempotency_key"] for run in page]
            if not page:
                return found


async def until_drained(url: str) -> float:
    began = time.monotonic()
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        while (await client.get(f"{url}/healthz")).json()["waiting"]:
            assert time.monotonic() - began < _DRAIN_SECONDS, "the drain did not come to its end"
            await asyncio.sleep(0.5)
    return time.monotonic() - began


async def outage(home: Path, database: str | None, seconds: float) -> None:
    await stop_all(home)
    await asyncio.sleep(seconds)
    await ensure_server(home, database=database, on_progress=_ignore)


async def trial(plan: Plan, home: Path, database: str | None) -> Figures:
    (home / "door.toml").write_text(SETTINGS.format(hand_overs=plan.hand_overs))
    door, counted = DoorProcess(home), Counted()
    async with prefect(home, database):
        await register(api(home))
        await door.start()
        try:
            began = time.monotonic()
            sending = asyncio.create_task(send_all(plan, door.url, counted))
            whole = plan.deliveries / plan.rate
            await asyncio.sleep(whole * 0.25)
            down = asyncio.create_task(outage(home, database, plan.down_seconds))
            await asyncio.sleep(whole * 0.35)
            door.kill()
            await door.start()
            await sending
            sent_seconds = time.monotonic() - began
            await down
            drained = await until_drained(door.url)
            keys = Counter(await keys_at(api(home)))
        finally:
            door.kill()
    expected = {key_of(delivery(number)) for number in range(plan.unique)}
    cuts = statistics.quantiles(counted.seconds, n=100)
    return Figures(
        statuses=dict(counted.statuses),
        retried=counted.retried,
        p50_ms=cuts[49] * 1000,
        p99_ms=cuts[98] * 1000,
        max_ms=max(counted.seconds) * 1000,
        runs=keys.total(),
        doubled=sum(count - 1 for count in keys.values()),
        lost=len(expected - keys.keys()),
        strange=len(keys.keys() - expected),
        send_seconds=sent_seconds,
        drain_seconds=drained,
    )


def measure(plan: Plan) -> Figures:
    with tempfile.TemporaryDirectory(prefix="towpath-door-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        home.mkdir()
        if plan.database == "sqlite":
            return asyncio.run(trial(plan, home, None))
        with postgres(Path(folder)) as database:
            return asyncio.run(trial(plan, home, database))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=10_000)
    parser.add_argument("--duplicates", type=int, help="default: a fifth")
    parser.add_argument("--forged", type=int, help="default: a twentieth")
    parser.add_argument("--rate", type=float, default=100.0, help="deliveries a second")
    parser.add_argument("--down", type=float, default=20.0, help="seconds that Prefect is down")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="postgres")
    parser.add_argument("--hand-overs", type=int, choices=[1, 2], default=1)
    chosen = parser.parse_args()
    plan = Plan(
        deliveries=chosen.deliveries,
        duplicates=chosen.deliveries // 5 if chosen.duplicates is None else chosen.duplicates,
        forged=chosen.deliveries // 20 if chosen.forged is None else chosen.forged,
        rate=chosen.rate,
        down_seconds=chosen.down,
        database=chosen.database,
        hand_overs=chosen.hand_overs,
    )
    print(plan, flush=True)
    figures = measure(plan)
    print("\n".join(figures.lines))
    is_whole = (figures.runs, figures.doubled, figures.lost, figures.strange) == (plan.unique, 0, 0, 0)
    return 0 if is_whole and figures.p99_ms < 200 else 1


if __name__ == "__main__":
    sys.exit(main())
