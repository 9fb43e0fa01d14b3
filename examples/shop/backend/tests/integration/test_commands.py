"""The command line, and the schema it makes."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from shop.__main__ import main
from shop.database import alembic_config, connect, migrate
from shop.models import Base


def test_an_empty_shop_is_seeded_once(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    main(["migrate"])
    capsys.readouterr()
    main(["seed"])
    main(["seed"])

    assert capsys.readouterr().out.splitlines() == ["3 products added", "0 products added"]


def test_the_schema_tells_its_revision_and_goes_back(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    shown = []
    for words in (["migrate"], ["downgrade", "--to", "0001"], ["downgrade"]):
        main(words)
        capsys.readouterr()
        main(["revision"])
        shown.append(capsys.readouterr().out.splitlines()[-1])

    assert shown == ["0002", "0001", ""]


def test_the_migrations_make_the_tables_of_the_models(url: str) -> None:
    migrate(url)

    with connect(url).connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_every_migration_can_be_undone(url: str) -> None:
    migrate(url)

    command.downgrade(alembic_config(url), "base")

    migrate(url)
