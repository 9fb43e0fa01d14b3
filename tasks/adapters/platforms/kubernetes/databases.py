"""An environment's database in a cluster: the target's commands as Jobs, its backups by the CronJob that makes them.

A backup counts only when the CronJob's own last line begins with `proved`, which it says after it has restored the copy
into a scratch database and compared the two. One command at a time: the name of its Job is the lock.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from tasks.adapters.platforms.kubernetes.rehearsing import Trial, instance_at_work
from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.adapters.platforms.kubernetes.working import run_job
from tasks.adapters.rehearsals import revisions
from tasks.core.cluster.documents import Document, Identity, ManifestsRefused, Part
from tasks.core.cluster.jobs import job_from, job_of, with_variables
from tasks.core.database import DatabaseTrouble, Rehearsal
from tasks.core.delivery_settings import ComponentSettings, DatabaseSettings
from tasks.core.placeholders import filled_values
from tasks.core.platform import PlatformTrouble
from tasks.core.prose import last_line
from tasks.core.release import Release

_PROVED = "proved"
# More than any tests of a running environment may take.
_REHEARSAL_SECONDS = 3600.0
_WORD = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True)
class ClusterDatabase:
    """`part` is the component whose image and variables the commands run with."""

    settings: DatabaseSettings
    cluster: Cluster
    environment: str
    part: Part
    state: Path
    previous: Callable[[], Awaitable[Part]]

    async def schema_revision(self, *, log: Path) -> str:
        """The last line that is one word: a cluster keeps both outputs of a container in one log."""
        said = await self._command(self.settings.revision, "tell its revision", log=log)
        words = [line.strip() for line in said.splitlines() if _WORD.fullmatch(line.strip())]
        return words[-1] if words else ""

    async def migrate(self, *, log: Path) -> None:
        await self._command(self.settings.migrate, "be migrated", log=log)

    async def downgrade(self, revision: str, *, log: Path) -> None:
        if not self.settings.downgrade:
            raise DatabaseTrouble("the target declares its migrations reversible and names no downgrade command")
        await self._command((*self.settings.downgrade, revision), f"go back to {revision}", log=log)

    async def back_up(self, *, name: str, log: Path) -> str:
        """By the CronJob. Where it is not in the namespace yet there was never a release, and no database."""
        schedule = await self._schedule(self.settings.backup_job, needed=False)
        if schedule is None:
            return ""
        said = await self._scheduled(schedule, "towpath-backup", {"BACKUP": name}, "be backed up", log=log)
        if not last_line(said).startswith(_PROVED):
            raise DatabaseTrouble(
                f"CronJob {self.settings.backup_job} does not say that its backup was proved: its last line must begin"
                f" with {_PROVED}, after a restore into a scratch database; see {log}"
            )
        return f"{name} ({last_line(said).strip()})"

    @asynccontextmanager
    async def rehearsed(
        self, backup: str, previous: Release, component: ComponentSettings, *, log: Path
    ) -> AsyncIterator[Rehearsal]:
        if not self.settings.scratch_job or not self.settings.scratch:
            raise DatabaseTrouble(
                "on kubernetes delivery.database names scratch_job, which makes a database of a backup, and in scratch"
                " the variables of an instance on it; n_minus_1 = false leaves the trial out"
            )
        scratch = f"rehearsal_{uuid4().hex[:12]}"
        values = filled_values(self.settings.scratch, {"scratch": scratch})
        await self._scratch(scratch, backup.partition(" ")[0], log=log.with_suffix(".made.log"))
        try:
            done = await revisions(replace(self, part=with_variables(self.part, values)), log=log)
            if done.before == done.after:
                yield done
                return
            trial = Trial(
                cluster=self.cluster,
                part=with_variables(await self.previous(), values),
                version=previous.version,
                state=self.state,
                start_seconds=component.start_seconds,
                longest_seconds=component.start_seconds + _REHEARSAL_SECONDS,
            )
            async with instance_at_work(trial, log=log) as address:
                yield replace(done, url=address)
        finally:
            await self._scratch(scratch, "", log=log.with_suffix(".dropped.log"))

    async def _scratch(self, name: str, backup: str, *, log: Path) -> None:
        """Made of the backup, or dropped where that is empty."""
        schedule = await self._schedule(self.settings.scratch_job, needed=True)
        assert schedule is not None, "needed"
        variables, what = {"SCRATCH": name, "BACKUP": backup}, "be copied" if backup else "be rid of its copy"
        await self._scheduled(schedule, "towpath-scratch", variables, what, log=log)

    async def has_same_schema(self, backup: str, *, log: Path) -> bool:
        """Nobody can tell from here, and then a backup is put back."""
        del backup, log
        return False

    async def restore(self, backup: str, *, log: Path) -> str:
        schedule = await self._schedule(self.settings.restore_job, needed=True)
        assert schedule is not None, "needed"
        variables = {"BACKUP": backup.partition(" ")[0]}
        said = await self._scheduled(schedule, "towpath-restore", variables, "be restored", log=log)
        return last_line(said).strip() or "nowhere"

    async def _schedule(self, name: str, *, needed: bool) -> Document | None:
        if not name:
            raise DatabaseTrouble("on kubernetes delivery.database names the CronJobs backup_job and restore_job")
        found = await self._asked(self.cluster.read(Identity("batch/v1", "CronJob", self.cluster.namespace, name)))
        if found is None and needed:
            raise DatabaseTrouble(f"there is no CronJob {name} in {self.cluster.namespace}")
        return found

    async def _scheduled(self, schedule: Document, job: str, variables: dict[str, str], what: str, *, log: Path) -> str:
        made = job_from(schedule, job, variables, deadline_seconds=self.settings.timeout_seconds)
        return await self._worked(made, what, log=log)

    async def _command(self, words: tuple[str, ...], what: str, *, log: Path) -> str:
        seconds = self.settings.timeout_seconds
        try:
            made = job_of(self.part, "towpath-database", words, deadline_seconds=seconds)
        except ManifestsRefused as refused:
            raise DatabaseTrouble(str(refused)) from refused
        return await self._worked(made, what, log=log)

    async def _worked(self, job: Document, what: str, *, log: Path) -> str:
        try:
            return await run_job(self.cluster, job, log=log, deadline_seconds=self.settings.timeout_seconds)
        except PlatformTrouble as trouble:
            raise DatabaseTrouble(f"the database of {self.environment} could not {what}: {trouble}") from trouble

    async def _asked(self, asking: Awaitable[Document | None]) -> Document | None:
        try:
            return await asking
        except PlatformTrouble as trouble:
            raise DatabaseTrouble(str(trouble)) from trouble
