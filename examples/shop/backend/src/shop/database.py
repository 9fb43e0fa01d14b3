"""The connection to the database, and whether its schema is the one this code needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import SQLAlchemyError

MIGRATIONS = Path(__file__).parent / "migrations"
CONNECT_SECONDS = 3


class NotReadyError(Exception):
    """The database cannot serve this release, and why."""


def connect(url: str) -> Engine:
    if url.startswith("sqlite"):
        return create_engine(url, connect_args={"check_same_thread": False})
    return create_engine(url, connect_args={"connect_timeout": CONNECT_SECONDS}, pool_pre_ping=True)


def migrate(url: str, revision: str = "head") -> None:
    command.upgrade(alembic_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    command.downgrade(alembic_config(url), revision)


def revision(url: str) -> str:
    """The schema's revision; empty before the first migration."""
    engine = connect(url)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision() or ""
    finally:
        engine.dispose()


def check_ready(engine: Engine) -> None:
    """Raise NotReadyError unless the database answers and has this release's revision."""
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        raise NotReadyError(f"database unreachable: {type(error).__name__}") from error
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    expected = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    # A revision from a newer release is fine: migrations only add, and a rollback runs on them.
    if found is None or (found in known and found != expected):
        raise NotReadyError(f"schema is at {found or 'nothing'}, this release needs {expected}")


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    # Percent signs in a password are interpolation to the ini parser behind this.
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config
