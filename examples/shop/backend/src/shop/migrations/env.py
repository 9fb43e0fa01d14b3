"""How Alembic reaches the database: DATABASE_URL's, given by shop.database or alembic.ini."""

from alembic import context
from sqlalchemy import create_engine

from shop.models import Base


def run() -> None:
    url = context.config.get_main_option("sqlalchemy.url") or ""
    engine = create_engine(url)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
