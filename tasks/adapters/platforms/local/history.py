"""What an environment's instances counted in the last half hour, kept so that a canary can be judged from its start.

One line per snapshot, appended by the supervisor; readers pass over what they cannot read, such as a line that is being
written. The clock of a snapshot is the machine's monotonic one, so what was taken before the last boot is not used.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from tasks.adapters.daemons import birth_of
from tasks.adapters.exposition import Unreadable, scrape
from tasks.adapters.state import write_atomically
from tasks.core.counters import Snapshot
from tasks.core.delivery_settings import MetricsSettings
from tasks.core.observed import Observed, ObservedInstance
from tasks.core.platform import Role
from tasks.core.scrapes import Reading, Scrape, snapshot_of
from tasks.core.wanted import Wanted

EVERY_SECONDS = 5.0
KEPT = 360
_ASK_SECONDS = 1.0


class _Line(BaseModel):
    """One line of the file; `boot` tells which boot of the machine its clock belongs to."""

    boot: str
    snapshot: Snapshot


_LINE = TypeAdapter(_Line)


async def taken(wanted: Wanted, observed: Observed, roles: tuple[Role, ...], *, now: float) -> Snapshot:
    """Ask all instances of these roles at once; an arm that is not asked for is empty."""
    arms = await asyncio.gather(*(_arm(wanted, observed, role) for role in roles))
    found = dict(zip(roles, arms, strict=True))
    share = wanted.candidate_percent / 100 if Role.CANDIDATE in roles else 0.0
    return snapshot_of(now, share, canary=found.get(Role.CANDIDATE, ()), stable=found.get(Role.STABLE, ()))


async def _arm(wanted: Wanted, observed: Observed, role: Role) -> list[Scrape]:
    group = wanted.group(role)
    if group is None:
        return []
    there = {each.name: each for each in observed.instances}
    asked = [
        (name, settings, there.get(name))
        for name, component in group.instances().items()
        if (settings := group.components[component].metrics) is not None
    ]
    return list(await asyncio.gather(*(_asked(name, settings, instance) for name, settings, instance in asked)))


async def _asked(name: str, settings: MetricsSettings, instance: ObservedInstance | None) -> Scrape:
    if instance is None or not instance.birth:
        return Scrape(name, None, restarts=0, started=None)
    reading: Reading | None = None
    with suppress(Unreadable):
        reading = await scrape(f"http://127.0.0.1:{instance.port}", settings, seconds=_ASK_SECONDS)
    return Scrape(name, reading, restarts=instance.restarts, started=instance.started)


def read(path: Path) -> list[Snapshot]:
    """The snapshots of this boot, oldest first."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    return [line.snapshot for line in map(_understood, lines) if line is not None and line.boot == _boot()]


def _understood(line: bytes) -> _Line | None:
    with suppress(ValidationError):
        return _LINE.validate_json(line)
    return None


def _boot() -> str:
    """The first process's birth is the boot's."""
    return birth_of(1)


class History:
    """The supervisor's side: the last snapshots in memory and in the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept: deque[Snapshot] = deque(read(path)[-KEPT:], maxlen=KEPT)
        self.lines = len(self.kept) if path.exists() else 0

    def append(self, snapshot: Snapshot) -> None:
        """Keep one more. The file is rewritten when it is twice as long as it needs to be."""
        self.kept.append(snapshot)
        if self.lines >= 2 * KEPT:
            write_atomically(self.path, _lines(self.kept), mode=0o600)
            self.lines = len(self.kept)
            return
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(_lines([snapshot]))
        self.lines += 1


def _lines(snapshots: Iterable[Snapshot]) -> str:
    return "".join(_Line(boot=_boot(), snapshot=each).model_dump_json() + "\n" for each in snapshots)
