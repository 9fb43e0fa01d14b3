"""The application over a migrated database of its own."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from shop.app import create_app
from shop.database import migrate
from shop.settings import Settings

StartShop = Callable[[Settings], TestClient]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'shop.db'}"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated once and copied for each test: the migrations have tests of their own."""
    database = tmp_path_factory.mktemp("migrated") / "shop.db"
    migrate(f"sqlite:///{database}")
    return database


@pytest.fixture
def start(url: str, migrated: Path) -> Iterator[StartShop]:
    shutil.copyfile(migrated, url.removeprefix("sqlite:///"))
    with ExitStack() as stack:

        def started(settings: Settings) -> TestClient:
            app = create_app(replace(settings, database_url=url))
            return stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield started


@pytest.fixture
def shop(start: StartShop) -> TestClient:
    return start(Settings(release="r1"))


@pytest.fixture
def boots(shop: TestClient) -> int:
    answer = shop.post("/api/products", json={"name": "Boots", "price_cents": 1000, "stock": 3})
    assert answer.status_code == 201
    return int(answer.json()["id"])
