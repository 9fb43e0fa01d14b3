"""What the scans of one snapshot share: the view of its files, its history, the vulnerability database.

Each is made once, at the first need, and a run whose results are all remembered makes none of them. A plain object
like Workplace, so that Prefect does not walk through it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from tasks.adapters.confinement import Most
from tasks.adapters.histories import history_of
from tasks.adapters.salts import salt_of
from tasks.adapters.views import make_view
from tasks.adapters.vulnerability_database import Database, ensure_database
from tasks.security.request import SecurityRequest
from tasks.workplace import Workplace

_T = TypeVar("_T")


class Bench:
    """`base` is the commit from which on the history is read, empty for all of it."""

    def __init__(self, place: Workplace, request: SecurityRequest, *, base: str = "") -> None:
        self.place = place
        self.request = request
        self.base = base
        self.salt = salt_of(place.state)
        self._made: dict[str, asyncio.Task[Any]] = {}

    @property
    def most(self) -> Most:
        security = self.place.settings.security
        return Most(
            memory_bytes=security.memory_bytes,
            processes=security.processes,
            cpu_seconds=int(security.scan_timeout_seconds * 4),
            file_bytes=self.place.settings.run.max_log_bytes,
        )

    async def view(self) -> Path:
        snapshot = self.place.snapshot
        return await self.once("view", lambda: asyncio.to_thread(make_view, snapshot, snapshot.tree.parent / "view"))

    async def history(self) -> Path:
        """Raises HistoryRefused."""
        target, commit, state = self.request.target, self.place.snapshot.revision, self.place.state
        return await self.once("history", lambda: history_of(target, commit, base=self.base, state=state))

    async def database(self) -> Database:
        """Raises DatabaseUnusable."""
        settings, log = self.place.settings.security, self.place.log_of("trivy-database")
        return await self.once("database", lambda: ensure_database(settings, state=self.place.state, log=log))

    async def once(self, name: str, make: Callable[[], Awaitable[_T]]) -> _T:
        """What `make` gives, made at the first call with this name and shared by all others."""
        if name not in self._made:
            self._made[name] = asyncio.ensure_future(make())
        # NOTE: shielded, so that one scan's end does not take from another what both wait for.
        return cast("_T", await asyncio.shield(self._made[name]))
