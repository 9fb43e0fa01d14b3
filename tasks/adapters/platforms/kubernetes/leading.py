"""Which one of several guards acts: the one that has the Lease, and only while it is sure that it still has it.

It stops acting well before another may take over, by its own clock; and whatever two might do at once all the same is
done under the lock of the environment, which only one of them can have.
"""

import time
from typing import Any

from tasks.adapters.platforms.kubernetes.leasing import Leasing, Watcher
from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.core.cluster.leases import Leased, claimed, freed, renewed
from tasks.core.safekeeping import Claim

_DEAD_SECONDS, _SURE_SECONDS = 8.0, 5.0
_NAME = "towpath-guard"


class Leading:
    """One candidate's view of who leads. `token` is the candidate's own."""

    def __init__(self, cluster: Cluster, watcher: Watcher, token: str) -> None:
        self._lease = Leasing(cluster, _NAME, {}, watcher)
        self._claim = Claim(token, "the guard", "guarding", "", watcher.now().timestamp())
        self._watcher = watcher
        self._sure_until = float("-inf")

    @property
    def is_leading(self) -> bool:
        return time.monotonic() < self._sure_until

    async def stand(self) -> None:
        """Renew the lead, or take it where nobody living has it. Raises PlatformTrouble."""
        asked, (there, silent) = time.monotonic(), await self._lease.watch()
        own = self._claim.token
        if there.token not in ("", own) and silent < _DEAD_SECONDS:
            self._sure_until = float("-inf")
            return

        def mine(lease: dict[str, Any], now: Leased) -> dict[str, Any] | None:
            if now.token == own:
                return renewed(lease, left_seconds=None, now=self._watcher.now())
            if now.sign != there.sign:
                return None
            return claimed(lease, self._claim, process=self._watcher.process, now=self._watcher.now())

        before = await self._lease.change(mine)
        is_taken = before.token == own or before.sign == there.sign
        self._sure_until = asked + _SURE_SECONDS if is_taken else float("-inf")

    async def step_down(self) -> None:
        """Let another lead at once. Raises PlatformTrouble."""
        self._sure_until = float("-inf")
        await self._lease.change(lambda lease, now: freed(lease) if now.token == self._claim.token else None)
