"""`towpath guard --context --namespace`: keeps what changes promised in namespaces, whichever machine delivered there.

Several of them watch, one acts. It looks at each environment as the guard of a home does, and knows of it only what
lies in the cluster: its own home may be empty at each start. One that just took over has watched before, so that it
need not begin to count the silence of a dead flow anew.
"""

import asyncio
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from deployments.burying import bury_what_waits
from deployments.guard import PERIOD_SECONDS, look_once
from deployments.saying import complain, say
from tasks.adapters.outbox import deliver_due
from tasks.adapters.platforms.choosing import meet
from tasks.adapters.platforms.guarded import GuardedPlaces
from tasks.adapters.platforms.kubernetes.keeping import environments_in
from tasks.adapters.platforms.kubernetes.leading import Leading
from tasks.adapters.platforms.kubernetes.leasing import Watcher
from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.core.cluster.guard_rights import guard_role
from tasks.core.platform import PlatformTrouble

_STAND_SECONDS, _MEET_SECONDS, _TELL_SECONDS = 2.0, 10.0, 5.0
_PATIENCE_SECONDS = 3.0


@dataclass(frozen=True)
class Guarding:
    """The namespaces of one context that are guarded, and the home of the guard."""

    context: str
    kubeconfig: str
    namespaces: tuple[str, ...]
    state: Path

    def cluster(self, namespace: str) -> Cluster:
        return Cluster(self.context, namespace, self.kubeconfig or None, _PATIENCE_SECONDS)

    def home(self, namespace: str) -> Path:
        """Of its own, since two namespaces may have environments of the same name."""
        return self.state / "guarded" / namespace


async def roles_of(guarding: Guarding, name: str) -> list[dict[str, object]]:
    """The Roles that the guard needs, for what is in the namespaces now. Raises PlatformTrouble."""
    found: list[dict[str, object]] = []
    for namespace in guarding.namespaces:
        known = await environments_in(guarding.cluster(namespace))
        found.append(guard_role(name, namespace, [(each.target, each.environment) for each in known]))
    return found


async def guard_cluster(guarding: Guarding) -> None:
    """Until it is asked to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    leading = Leading(guarding.cluster(guarding.namespaces[0]), Watcher(), str(uuid4()))
    say(f"{_now()} guarding every environment of {', '.join(guarding.namespaces)} in {guarding.context}")
    beside = [asyncio.create_task(work) for work in (_stand(guarding, leading), _meet(guarding), _tell(guarding))]
    try:
        await _watch(guarding, leading, stop)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        with suppress(PlatformTrouble):
            await leading.step_down()


async def _watch(guarding: Guarding, leading: Leading, stop: asyncio.Event) -> None:
    """Each namespace for itself: while something is undone in one, the others are looked at all the same."""
    await asyncio.gather(*(_watch_one(home, leading, stop) for home in _homes(guarding)))


async def _watch_one(home: Path, leading: Leading, stop: asyncio.Event) -> None:
    places = GuardedPlaces()
    while not stop.is_set():
        await look_once(home, places.of, may_act=lambda: leading.is_leading)
        with suppress(TimeoutError):
            async with asyncio.timeout(PERIOD_SECONDS):
                await stop.wait()


def _homes(guarding: Guarding) -> Iterable[Path]:
    return [guarding.home(namespace) for namespace in guarding.namespaces]


async def _stand(guarding: Guarding, leading: Leading) -> None:
    """Beside the looking, since undoing takes its time, in which neither the lead nor a probe must be lost."""
    alive = guarding.state / "keepers" / "guard-looked"
    alive.parent.mkdir(parents=True, exist_ok=True)
    while True:
        alive.touch()
        was_leading = leading.is_leading
        try:
            await leading.stand()
        except PlatformTrouble as trouble:
            complain(f"{_now()} the lead could not be renewed: {trouble}")
        if leading.is_leading != was_leading:
            say(f"{_now()} {'leading' if leading.is_leading else 'another one leads'}")
        await asyncio.sleep(_STAND_SECONDS)


async def _meet(guarding: Guarding) -> None:
    """What is delivered for the first time is guarded soon after."""
    while True:
        for namespace in guarding.namespaces:
            try:
                await meet(guarding.home(namespace), guarding.context, namespace, kubeconfig=guarding.kubeconfig)
            except PlatformTrouble as trouble:
                complain(f"{_now()} {namespace}: what is there cannot be told: {trouble}")
        await asyncio.sleep(_MEET_SECONDS)


async def _tell(guarding: Guarding) -> None:
    """People and the Prefect server, of what this one has undone; neither keeps it from looking."""
    while True:
        for home in _homes(guarding):
            try:
                await deliver_due(home, now=time.time())
                await bury_what_waits(home)
            except Exception as trouble:  # noqa: BLE001  (one letter must not keep the others)
                complain(f"{_now()} {trouble!r}")
        await asyncio.sleep(_TELL_SECONDS)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
