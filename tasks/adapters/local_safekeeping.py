"""The safekeeping of an environment of the local platform: files of its home, told dead from alive by processes."""

import os
from dataclasses import dataclass

from tasks.adapters import intents, ledger, permits
from tasks.adapters.daemons import birth_of
from tasks.adapters.grounds import Ground
from tasks.adapters.permits import Holder
from tasks.core.intent import Intent, why_undo
from tasks.core.platform import Permit
from tasks.core.records import Record
from tasks.core.safekeeping import Claim, EnvironmentBusy, Hold, Occupant, Safekeeping, being_undone


def local_safekeeping(ground: Ground) -> Safekeeping:
    return Safekeeping(LocalLock(ground), LocalPromise(ground), LocalLedger(ground))


@dataclass(frozen=True)
class LocalLock:
    """The lock file of an environment, for the process that asks."""

    ground: Ground

    async def take(self, claim: Claim, *, passes_hold: bool = False) -> Permit:
        self._refuse_unfinished()
        return permits.take(self.ground.folder, self.ground.environment, _holder(claim), passes_hold=passes_hold)

    def _refuse_unfinished(self) -> None:
        """What died is the guard's until it has undone it: its lock looks free, its canary is not gone."""
        holder, intent = permits.holder_of(self.ground.folder), intents.read_intent(self.ground)
        if intent is not None and holder is not None and not holder.is_alive:
            raise EnvironmentBusy(being_undone(self.ground.environment, intent))

    async def seize(self, claim: Claim, *, token: str) -> Permit:
        return permits.seize(self.ground.folder, self.ground.environment, _holder(claim), token=token)

    async def release(self, permit: Permit) -> None:
        permits.release(self.ground.folder, permit)

    async def must_hold(self, permit: Permit) -> None:
        with permits.changing(self.ground.folder, permit):
            pass

    async def beat(self, permit: Permit, left_seconds: float | None = None) -> None:
        # NOTE: the guard reads the same clock as the flow, and knows the deadline by the intent.
        del left_seconds
        await self.must_hold(permit)
        intents.beat(self.ground, permit.token)

    async def occupant(self) -> Occupant | None:
        holder = permits.holder_of(self.ground.folder)
        return Occupant(holder.token, str(holder), holder.is_alive) if holder else None

    async def hold(self) -> Hold | None:
        return permits.hold_of(self.ground.folder)

    async def put_hold(self, hold: Hold) -> None:
        permits.put_hold(self.ground.folder, hold)

    async def lift_hold(self, lifted: Hold) -> Hold | None:
        return permits.lift_hold(self.ground.folder, who=lifted.who, reason=lifted.reason)


def _holder(claim: Claim) -> Holder:
    pid = os.getpid()
    return Holder(claim.token, claim.who, claim.reason, claim.run, pid, birth_of(pid), claim.since)


@dataclass(frozen=True)
class LocalPromise:
    """Intent and heartbeat as files beside the lock."""

    ground: Ground

    async def write(self, intent: Intent) -> None:
        intents.write_intent(self.ground, intent)

    async def read(self) -> Intent | None:
        return intents.read_intent(self.ground)

    async def is_there(self) -> bool:
        return intents.has_intent(self.ground)

    async def why_undo(self, intent: Intent) -> str:
        sign = intents.read_heartbeat(self.ground)
        return why_undo(intent, sign, boot=intents.boot_id(), now=intents.machine_seconds())

    async def forget(self, permit: Permit) -> None:
        intents.forget_intent(self.ground, permit)


@dataclass(frozen=True)
class LocalLedger:
    """Records as files, all of them for ever; what was built lies in the same home."""

    ground: Ground

    async def records(self) -> tuple[Record, ...]:
        return ledger.read_records(self.ground)

    async def write(self, record: Record) -> Record:
        return ledger.write_record(self.ground, record)

    async def fetch_build(self, artifact: str) -> None:
        del artifact

    async def forget_old(self, kept: int) -> None:
        del kept
