"""What a change may ask of an environment's database, wherever that is kept.

A backup is named by a text that leads people to it. A backup that could not be read back was not made, and whoever
implements this must never pretend that one was.
"""

from pathlib import Path
from typing import Protocol

from tasks.core.delivery_settings import DatabaseSettings


class DatabaseTrouble(Exception):
    """The database could not be asked, migrated, backed up or restored; the text says what and what to do."""


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

    async def has_same_schema(self, backup: str, *, log: Path) -> bool:
        """Whether the live database has what its backup has."""

    async def restore(self, backup: str, *, log: Path) -> str:
        """Put a backup back; where what was there before has been kept."""
