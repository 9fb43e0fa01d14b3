"""What a change may ask of an environment's database, wherever that is kept.

A backup is named by a text that leads people to it. A backup that could not be read back was not made, and whoever
implements this must never pretend that one was.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tasks.core.delivery_settings import ComponentSettings, DatabaseSettings
from tasks.core.release import Release


class DatabaseTrouble(Exception):
    """The database could not be asked, migrated, backed up or restored; the text says what and what to do."""


class SchemaUnbearable(DatabaseTrouble):
    """The release that runs does not get ready on the migrated schema."""


@dataclass(frozen=True)
class Rehearsal:
    """What a migration did to a scratch copy: the revisions, and where the release before runs on it, ready.

    No address where the migration did nothing.
    """

    before: str
    after: str
    url: str = ""


class Database(Protocol):
    """The database of one environment, as one release sees it. Every method may raise DatabaseTrouble."""

    @property
    def settings(self) -> DatabaseSettings: ...

    async def schema_revision(self, *, log: Path) -> str:
        """One word; empty for a database without a schema."""

    async def migrate(self, *, log: Path) -> None:
        """Bring the schema to the release's revision. One at a time for each environment."""

    async def downgrade(self, revision: str, *, log: Path) -> None:
        """Go back to a revision."""

    async def back_up(self, *, name: str, log: Path) -> str:
        """A whole copy that was read back, by name; empty when there is no database yet."""

    def rehearsed(
        self, backup: str, previous: Release, component: ComponentSettings, *, log: Path
    ) -> AbstractAsyncContextManager[Rehearsal]:
        """A scratch copy of the backup, migrated to this release, and the previous release's component at work on it,
        until the context ends. Raises SchemaUnbearable for one that does not get ready on it."""

    async def has_same_schema(self, backup: str, *, log: Path) -> bool:
        """Whether the live database has what its backup has."""

    async def restore(self, backup: str, *, log: Path) -> str:
        """Put a backup back; where what was there before has been kept."""
