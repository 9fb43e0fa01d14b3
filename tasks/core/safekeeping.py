"""What keeps an environment safe while it is changed, wherever that lies: its lock, its promise and its records.

The lock says who may change the environment, and the signs of life of that change; a lock whose holder is dead is taken
over, and a permit that was taken away changes nothing any more. The promise is the intent of the change under way. The
ledger is the audit log. Flows, the guard and the command line know these three and not where they are.
"""

import time
from dataclasses import dataclass
from typing import Protocol

from tasks.core.intent import Intent
from tasks.core.platform import Permit, PlatformTrouble
from tasks.core.records import Record, current_of


class EnvironmentBusy(PlatformTrouble):
    """Somebody else changes the environment, or a person holds it; the text says who, since when and why."""


@dataclass(frozen=True)
class Hold:
    """A person's wish that nothing changes here."""

    who: str
    reason: str
    since: float

    def __str__(self) -> str:
        return f"{self.who} since {moment(self.since)} ({self.reason})"


@dataclass(frozen=True)
class Claim:
    """Who wants to change an environment, and what for; `since` is seconds of the epoch, for people."""

    token: str
    who: str
    reason: str
    run: str
    since: float


@dataclass(frozen=True)
class Occupant:
    """Who may change the environment now, in words; `is_alive` unless its death is certain."""

    token: str
    words: str
    is_alive: bool

    def __str__(self) -> str:
        return self.words


class Lock(Protocol):
    """The right to change one environment. Every method may raise PlatformTrouble."""

    async def take(self, claim: Claim, *, passes_hold: bool = False) -> Permit:
        """Raises EnvironmentBusy while a living other has it, what died is not undone yet, or a person holds it."""

    async def seize(self, claim: Claim, *, token: str) -> Permit:
        """Taken from the change with this token, for the guard alone. Raises EnvironmentBusy when a living other has it
        by now, whose change is not what the guard looked at."""

    async def release(self, permit: Permit) -> None:
        """Give the right back; one that was taken away meanwhile is left with its new holder."""

    async def must_hold(self, permit: Permit) -> None:
        """Raises PermitRevoked when the permit is not the one that holds the lock."""

    async def beat(self, permit: Permit, left_seconds: float | None = None) -> None:
        """A sign of life, and how long the change may still take. Raises PermitRevoked."""

    async def occupant(self) -> Occupant | None:
        """Who has it now."""

    async def hold(self) -> Hold | None:
        """A person's hold that keeps new changes out."""

    async def put_hold(self, hold: Hold) -> None:
        """Keep new changes out until it is lifted."""

    async def lift_hold(self, lifted: Hold) -> Hold | None:
        """Let changes in again; the hold that there was, None when there was none."""


class Promise(Protocol):
    """The intent of the change under way. Every method may raise PlatformTrouble."""

    async def write(self, intent: Intent) -> None:
        """Before anything moves. Raises PermitRevoked when the lock is not this change's."""

    async def read(self) -> Intent | None:
        """None where there is none, or none that can be read."""

    async def is_there(self) -> bool:
        """Whether something was promised, readable or not."""

    async def why_undo(self, intent: Intent) -> str:
        """Why the change must be undone now, in words; empty while its flow is alive and in time."""

    async def forget(self, permit: Permit) -> None:
        """The change is over. Raises PermitRevoked when somebody else has the environment meanwhile."""


class Ledger(Protocol):
    """The release records, oldest first. Every method may raise PlatformTrouble."""

    async def records(self) -> tuple[Record, ...]:
        """Every record there is. Raises PlatformTrouble when one cannot be read or was altered."""

    async def write(self, record: Record) -> Record:
        """As it was written, with its number, its predecessor's checksum and its own."""

    async def fetch_build(self, artifact: str) -> None:
        """Have what was built of a release on this machine, where the ledger keeps it and it is not here."""

    async def forget_old(self, kept: int) -> None:
        """What is older than the last `kept` records and is not needed to go back, where the ledger is bounded."""


@dataclass(frozen=True)
class Safekeeping:
    """The three of one environment."""

    lock: Lock
    promise: Promise
    ledger: Ledger

    async def current(self) -> Record | None:
        """The change that put the present stable release there."""
        return current_of(await self.ledger.records())


def found_in(records: tuple[Record, ...], wanted: str) -> Record | None:
    """The record of that number, else the last released one of that version or digest."""
    if wanted.isdigit():
        return next((each for each in records if each.number == int(wanted)), None)
    named = [each for each in records if each.release.version == wanted or each.release.digest.startswith(wanted)]
    released = [each for each in named if each.ending == "released"]
    return next(reversed(released or named), None)


def moment(since: float) -> str:
    """Seconds of the epoch as people of this machine read them."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))


def held_by(environment: str, hold: Hold) -> str:
    return f"{environment} is held by {hold}: wait, or lift it with towpath unlock {environment} --reason WHY"


def changed_by(environment: str, holder: object) -> str:
    return f"{environment} is being changed by {holder}: wait for its end, or stop that run"


def taken_from(environment: str, holder: object | None) -> str:
    by = f"{holder} has it" if holder else "nobody has it any more"
    return f"the right to change {environment} was taken from this run: {by}"


def being_undone(environment: str, intent: Intent) -> str:
    return (
        f"the {intent.kind} of {intent.release.version} in {environment} died and the guard is undoing it: "
        "try again in half a minute"
    )
