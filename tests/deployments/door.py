"""A door to try: its program on loopback, signed requests, and a stand-in for our words to Prefect that can be away."""

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tasks.adapters.flow_runs import ServerBusy
from tasks.adapters.hand_over import Deployment, RunRefused, Server

ROOT = Path(__file__).resolve().parents[2]
SECRET, OTHER_SECRET = "the-secret-of-these-tests", "the-next-secret-of-these-tests"
SETTINGS = '[repositories."acme/shop"]\n'
_NAMES = ("ci", "security", "pr-checks", "cd", "production", "canary")
_WORDS = frozenset({"target", "ref", "origin"})


def until(condition: Callable[[], Any], *, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.02)
    return found


def headers(body: bytes, delivery: str, event: str, *, secret: str = SECRET) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "X-GitHub-Delivery": delivery,
        "X-GitHub-Event": event,
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }


@dataclass
class OpenDoor:
    """The program, and how to speak to it."""

    home: Path
    environment: Mapping[str, str]
    url: str = ""
    process: "subprocess.Popen[str] | None" = None

    def open(self) -> None:
        with (self.home / "door.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deployments.cli", "webhook", "--port", "0"],
                cwd=ROOT,
                env=dict(self.environment),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[1].removesuffix("/github")
        until(self.answers)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(number)
        code = self.process.wait()
        self.process.stdout.close()
        self.process = None
        return code

    def post(
        self, sent: Any, delivery: str = "00000000-0001", event: str = "push", *, secret: str = SECRET, **more: str
    ) -> httpx.Response:
        body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        said = headers(body, delivery, event, secret=secret) | more
        return httpx.post(f"{self.url}/github", content=body, headers=said, trust_env=False, timeout=30)

    def health(self) -> Any:
        return httpx.get(f"{self.url}/healthz", trust_env=False).json()

    def towpath(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "deployments.cli", *words],
            cwd=ROOT,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )


@contextmanager
def open_door(home: Path, *, api: str, settings: str = SETTINGS, secrets: str = SECRET) -> Iterator[OpenDoor]:
    (home / "door.toml").write_text(f"associations = ['OWNER', 'MEMBER']\n{settings}")
    own = {"TOWPATH_HOME": str(home), "TOWPATH_WEBHOOK_SECRETS": secrets, "PREFECT_API_URL": api}
    door = OpenDoor(home, os.environ | own)
    door.open()
    try:
        yield door
    finally:
        if door.process is not None:
            door.kill()
        # A home may be shared, and whoever starts everything in it next has no secret for a door.
        (home / "door.toml").unlink(missing_ok=True)


@dataclass
class Ran:
    """A run as the server has it."""

    deployment: str
    parameters: Mapping[str, Any]
    tags: tuple[str, ...]
    is_cancelled: bool = False


@dataclass
class ServerOfTests(Server):
    """Keeps runs by key; `trouble` is raised once for each that is in it, before or after the run was made."""

    pools: dict[str, str] = field(default_factory=lambda: dict.fromkeys(_NAMES, "process"))
    words: frozenset[str] = _WORDS
    runs: dict[str, Ran] = field(default_factory=dict)
    is_away: bool = False
    dies_after_start: bool = False
    refuses: str = ""

    async def __aexit__(self, *_: object) -> None:
        return None

    async def deployment(self, name: str) -> Deployment | None:
        if self.is_away:
            raise ServerBusy("away")
        return Deployment(name, name, self.words, self.pools[name]) if name in self.pools else None

    async def start(
        self,
        deployment: Deployment,
        parameters: Mapping[str, Any],
        *,
        tags: tuple[str, ...],
        key: str,
    ) -> str:
        if self.refuses == deployment.name:
            raise RunRefused("the Prefect server refused it (409)")
        self.runs.setdefault(key, Ran(deployment.name, parameters, tags))
        if self.dies_after_start:
            raise ServerBusy("the connection broke")
        return f"run of {key}"

    async def cancel(self, run: str, reason: str) -> None:
        self.runs[run.removeprefix("run of ")].is_cancelled = True
