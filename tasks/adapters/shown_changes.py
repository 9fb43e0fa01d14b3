"""Changes of environments that a forge shows as deployments under way, written down until it knows how they ended.

It solves that a release whose process is killed would be under way for ever where people look. It must never hold a
token.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from tasks.adapters.grounds import Ground, NameRefused
from tasks.adapters.live_runs import live_and_dead
from tasks.adapters.platforms.choosing import safekeeping_of
from tasks.adapters.state import write_atomically
from tasks.core.forge.words import DeploymentState, ForgeDeployment
from tasks.core.origin import Origin
from tasks.core.platform import PlatformTrouble
from tasks.core.records import Ending

_YOUNG_SECONDS = 120.0


@dataclass(frozen=True)
class ShownChange:
    """A change of one environment of a target as a forge last heard of it; its key is the run's id."""

    target: str
    origin: Origin
    deployment: ForgeDeployment


_CHANGE = TypeAdapter(ShownChange)


def remember_change(state: Path, change: ShownChange) -> None:
    write_atomically(_file(state, change), _CHANGE.dump_json(change).decode())


def forget_change(state: Path, change: ShownChange) -> None:
    _file(state, change).unlink(missing_ok=True)


async def ended_state(ground: Ground, run: str) -> DeploymentState:
    """As records say: a change without one was undone by somebody else, or came to nothing. Raises PlatformTrouble."""
    records = await safekeeping_of(ground).ledger.records()
    mine = [record for record in records if record.run == run]
    is_released = bool(mine) and mine[-1].ending is Ending.RELEASED
    return DeploymentState.SUCCESS if is_released else DeploymentState.FAILURE


async def dead_changes(state: Path, *, now: float) -> AsyncIterator[tuple[ShownChange, DeploymentState]]:
    """Those whose process is gone, with how they ended. One that the guard has yet to undo has not ended, and one that
    was only just shown may not be marked as alive yet."""
    live, _ = live_and_dead(state)
    for path in sorted(_folder(state).glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError, NameRefused, PlatformTrouble):
            if path.name.partition(".")[0] in live or now - path.stat().st_mtime < _YOUNG_SECONDS:
                continue
            change = _CHANGE.validate_json(path.read_bytes())
            ground = Ground(state, change.target, change.deployment.environment)
            intent = await safekeeping_of(ground).promise.read()
            if intent is None or intent.run != change.deployment.key:
                yield change, await ended_state(ground, change.deployment.key)


def _folder(state: Path) -> Path:
    return state / "shown-changes"


def _file(state: Path, change: ShownChange) -> Path:
    return _folder(state) / f"{change.deployment.key}.{change.deployment.environment}.json"
