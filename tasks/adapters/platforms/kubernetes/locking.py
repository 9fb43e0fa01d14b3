"""The lock of an environment as a Lease in its namespace: two machines that deliver there exclude each other.

The Lease is only ever replaced as it was read, so that of two who take it one is told. A holder is dead when this
process has watched its Lease for long enough and saw no sign of life; that its last one is old by the clock that wrote
it is only a reason to watch.
"""

import asyncio
from typing import Any

from tasks.adapters import permits
from tasks.adapters.grounds import Ground
from tasks.adapters.platforms.kubernetes.leasing import Leasing, Watcher, is_dead
from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.core.cluster.documents import Identity
from tasks.core.cluster.kept_names import intent_name, kept_labels, lock_name
from tasks.core.cluster.leases import DEAD_SECONDS, Leased, claimed, freed, held, lifted, renewed
from tasks.core.platform import Permit, PermitRevoked
from tasks.core.safekeeping import Claim, EnvironmentBusy, Hold, Occupant, changed_by, held_by, taken_from

_LOOK_SECONDS = 1.0


class ClusterLock:
    """The lock of one environment, as this process sees it."""

    def __init__(self, cluster: Cluster, ground: Ground, watcher: Watcher) -> None:
        target, environment = ground.target, ground.environment
        self._cluster, self._ground, self._environment = cluster, ground, environment
        self._watcher = watcher
        labels = kept_labels(target, environment, "lock")
        self._lease = Leasing(cluster, lock_name(target, environment), labels, watcher)
        self._intent = Identity("v1", "ConfigMap", cluster.namespace, intent_name(target, environment))

    async def take(self, claim: Claim, *, passes_hold: bool = False) -> Permit:
        there = await self._lease.read()
        if not passes_hold and (hold := there.hold or permits.hold_of(self._ground.folder)) is not None:
            raise EnvironmentBusy(held_by(self._environment, hold))
        if there.token and not await self._may_be_taken_over(there):
            raise EnvironmentBusy(changed_by(self._environment, there))

        def mine(lease: dict[str, Any], now: Leased) -> dict[str, Any] | None:
            if now.token == claim.token:
                return None
            if now.hold is not None and not passes_hold:
                raise EnvironmentBusy(held_by(self._environment, now.hold))
            if now.token and now.sign != there.sign:
                raise EnvironmentBusy(changed_by(self._environment, now))
            return claimed(lease, claim, process=self._watcher.process, now=self._watcher.now())

        await self._lease.change(mine)
        return Permit(self._environment, claim.token)

    async def _may_be_taken_over(self, there: Leased) -> bool:
        """What a dead one promised is the guard's; one that promised nothing is watched until its death is certain."""
        if await self._cluster.read(self._intent) is not None:
            return False
        now, silent = await self._lease.watch()
        while now.sign == there.sign and there.seems_dead(self._watcher.now().timestamp()) and not is_dead(silent):
            # NOTE: a holder that lives renews its Lease, and nothing tells of one that does not.
            await asyncio.sleep(_LOOK_SECONDS)
            now, silent = await self._lease.watch()
        return now.sign == there.sign and is_dead(silent)

    async def seize(self, claim: Claim, *, token: str) -> Permit:
        there, silent = await self._lease.watch()
        is_free = there.token in ("", token) or self.has_taken(there) or is_dead(silent)

        def mine(lease: dict[str, Any], now: Leased) -> dict[str, Any] | None:
            if now.token == claim.token:
                return None
            if not is_free or now.sign != there.sign:
                raise EnvironmentBusy(f"{self._environment} is being changed by {now} meanwhile")
            return claimed(lease, claim, process=self._watcher.process, now=self._watcher.now())

        await self._lease.change(mine)
        return Permit(self._environment, claim.token)

    async def release(self, permit: Permit) -> None:
        await self._lease.change(lambda lease, now: freed(lease) if now.token == permit.token else None)

    async def must_hold(self, permit: Permit) -> None:
        self._refuse(await self._lease.read(), permit)

    def _refuse(self, now: Leased, permit: Permit) -> None:
        if now.token != permit.token:
            raise PermitRevoked(taken_from(permit.environment, now if now.token else None))

    async def beat(self, permit: Permit, left_seconds: float | None = None) -> None:
        def alive(lease: dict[str, Any], now: Leased) -> dict[str, Any]:
            self._refuse(now, permit)
            return renewed(lease, left_seconds=left_seconds, now=self._watcher.now())

        await self._lease.change(alive)

    def has_taken(self, leased: Leased) -> bool:
        """Whether it was this very process, under whatever permit."""
        return bool(leased.token) and leased.process == self._watcher.process

    async def watched(self) -> tuple[Leased, float]:
        """Who has it, and for how long it has been silent to whoever watches here."""
        return await self._lease.watch()

    async def occupant(self) -> Occupant | None:
        now, silent = await self._lease.watch()
        if not now.token:
            return None
        quiet = now.seems_dead(self._watcher.now().timestamp()) or is_dead(silent)
        words = f"{now}, no sign of life for more than {DEAD_SECONDS:.0f} s" if quiet else str(now)
        return Occupant(now.token, words, not is_dead(silent))

    async def hold(self) -> Hold | None:
        """A hold that was put before anything was delivered there lies in the home of whoever put it."""
        return (await self._lease.read()).hold or permits.hold_of(self._ground.folder)

    async def put_hold(self, hold: Hold) -> None:
        await self._lease.change(lambda lease, _: held(lease, hold))

    async def lift_hold(self, lifted_by: Hold) -> Hold | None:
        before = await self._lease.change(lambda lease, now: lifted(lease, lifted_by) if now.hold else None)
        here = permits.lift_hold(self._ground.folder, who=lifted_by.who, reason=lifted_by.reason)
        return before.hold or here
