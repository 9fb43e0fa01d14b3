"""The questions an orchestrator asks."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from shop.app import create_app
from shop.database import migrate
from shop.settings import Misbehaviour, Settings

from .conftest import StartShop


def test_a_migrated_shop_is_alive_and_ready(shop: TestClient) -> None:
    assert shop.get("/healthz").json() == {"status": "alive", "release": "r1"}
    assert shop.get("/readyz").status_code == 200


@pytest.mark.parametrize("revision", [None, "0001"])
def test_a_schema_behind_this_release_is_alive_but_not_ready(
    url: str, revision: str | None
) -> None:
    if revision:
        migrate(url, revision)
    with TestClient(create_app(Settings(database_url=url))) as shop:
        answer = shop.get("/readyz")

        assert shop.get("/healthz").status_code == 200
    assert answer.status_code == 503
    assert "needs 0002" in answer.json()["detail"]


def test_an_unreachable_database_is_said(tmp_path: Path) -> None:
    nowhere = f"sqlite:///{tmp_path}/no/such/folder/shop.db"
    with TestClient(create_app(Settings(database_url=nowhere))) as shop:
        answer = shop.get("/readyz")

    assert answer.status_code == 503
    assert "unreachable" in answer.json()["detail"]


def test_readiness_can_be_refused_on_demand(start: StartShop) -> None:
    shop = start(Settings(misbehaviour=Misbehaviour(refuse_readiness=True)))

    assert shop.get("/readyz").status_code == 503
    assert shop.get("/healthz").status_code == 200


def test_requests_are_counted_by_route_and_release(shop: TestClient, boots: int) -> None:
    shop.get(f"/api/products/{boots}")
    shop.get("/readyz")

    text = shop.get("/metrics").text
    counted = 'method="GET",release="r1",route="/api/products/{product_id}",status="200"} 1.0'
    assert counted in text
    assert "readyz" not in text
