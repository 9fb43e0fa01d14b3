"""One change at a time per environment: who holds the right to it, why, and how it is taken from the dead.

The lock of an environment is a file that names its holder by process and birth, so that a holder that died without a
word is noticed and its lock taken over. Every change of the environment is made under the environment's mutex and
first compares its permit with the lock: a permit that was taken away changes nothing any more.

A person's hold is a file of its own, which no process takes over: it keeps new changes out until it is lifted.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.adapters.daemons import birth_of
from tasks.adapters.state import write_atomically
from tasks.core.platform import Permit, PermitRevoked, PlatformTrouble
from tasks.core.safekeeping import EnvironmentBusy, Hold, changed_by, held_by, moment, taken_from


@dataclass(frozen=True)
class Holder:
    """Who may change an environment: `who` for people, `pid` and `birth` to tell whether it lives."""

    token: str
    who: str
    reason: str
    run: str
    pid: int
    birth: str
    since: float

    @property
    def is_alive(self) -> bool:
        return bool(self.birth) and birth_of(self.pid) == self.birth

    def __str__(self) -> str:
        run = f", run {self.run}" if self.run else ""
        return f"{self.who} since {moment(self.since)} ({self.reason}{run}, process {self.pid})"


@contextmanager
def mutex(folder: Path) -> Iterator[None]:
    """Held for the moment of one change, by a kernel lock that no death leaves behind."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "mutex", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def changing(folder: Path, permit: Permit) -> Iterator[None]:
    """The mutex, for a change under this permit. Raises PermitRevoked when it is not the one that holds the lock."""
    with mutex(folder):
        holder = holder_of(folder)
        if holder is None or holder.token != permit.token:
            raise PermitRevoked(taken_from(permit.environment, holder))
        yield


def take(folder: Path, environment: str, holder: Holder, *, passes_hold: bool = False) -> Permit:
    """The right to change the environment. Raises EnvironmentBusy while a living other has it or a person holds it."""
    with mutex(folder):
        if (hold := hold_of(folder)) is not None and not passes_hold:
            raise EnvironmentBusy(held_by(environment, hold))
        other = holder_of(folder)
        if other is not None and other.is_alive:
            raise EnvironmentBusy(changed_by(environment, other))
        _write(folder / "lock.json", holder)
    return Permit(environment, holder.token)


def seize(folder: Path, environment: str, holder: Holder, *, token: str) -> Permit:
    """The right to change the environment, taken from the change with this token: for the guard alone.

    Raises EnvironmentBusy when a living other has it by now, whose change is not what the guard looked at. A lock that
    cannot be read lets nobody change anything, so that whoever had it loses nothing.
    """
    with mutex(folder):
        other = None
        with suppress(PlatformTrouble):
            other = holder_of(folder)
        is_own = other is not None and (other.pid, other.birth) == (holder.pid, holder.birth)
        if other is not None and other.token != token and other.is_alive and not is_own:
            raise EnvironmentBusy(f"{environment} is being changed by {other} meanwhile")
        _write(folder / "lock.json", holder)
    return Permit(environment, holder.token)


def release(folder: Path, permit: Permit) -> None:
    """Give the right back; one that was taken away meanwhile is left with its new holder."""
    with mutex(folder):
        holder = holder_of(folder)
        if holder is not None and holder.token == permit.token:
            (folder / "lock.json").unlink(missing_ok=True)


def holder_of(folder: Path) -> Holder | None:
    try:
        return Holder(**json.loads((folder / "lock.json").read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as broken:
        raise PlatformTrouble(
            f"{folder / 'lock.json'} cannot be read ({broken}): look at it, then delete it"
        ) from broken


def put_hold(folder: Path, hold: Hold) -> None:
    with mutex(folder):
        write_atomically(folder / "hold.json", json.dumps(asdict(hold)) + "\n", mode=0o600, is_durable=True)
        _note(folder, {"held": asdict(hold)})


def lift_hold(folder: Path, *, who: str, reason: str) -> Hold | None:
    """Let changes in again; the hold that was lifted, None when there was none."""
    with mutex(folder):
        hold = hold_of(folder)
        if hold is not None:
            _note(folder, {"lifted": asdict(Hold(who, reason, time.time()))})
            (folder / "hold.json").unlink(missing_ok=True)
        return hold


def _note(folder: Path, line: dict[str, object]) -> None:
    """Who held the environment and who lifted that, a line each, for ever."""
    with (folder / "holds.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def hold_of(folder: Path) -> Hold | None:
    try:
        return Hold(**json.loads((folder / "hold.json").read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as broken:
        raise PlatformTrouble(
            f"{folder / 'hold.json'} cannot be read ({broken}): look at it, then delete it"
        ) from broken


def _write(path: Path, holder: Holder) -> None:
    write_atomically(path, json.dumps(asdict(holder)) + "\n", mode=0o600, is_durable=True)
