"""The shop fails as it is told to, and only then."""

import time

import pytest
from fastapi.testclient import TestClient

from shop import store
from shop.settings import Misbehaviour, Settings

from .conftest import StartShop


def test_an_error_rate_of_one_fails_every_api_request(start: StartShop) -> None:
    shop = start(Settings(misbehaviour=Misbehaviour(error_rate=1.0)))

    assert shop.get("/api/products").status_code == 500
    assert shop.get("/healthz").status_code == 200
    assert 'shop_request_errors_total{release="dev"} 1.0' in shop.get("/metrics").text


def test_latency_is_added(start: StartShop) -> None:
    shop = start(Settings(misbehaviour=Misbehaviour(latency_ms=60)))

    before = time.perf_counter()
    shop.get("/api/products")

    assert time.perf_counter() - before >= 0.06


def test_the_switch_board_is_off_by_default(shop: TestClient) -> None:
    assert shop.post("/chaos", json={"error_rate": 1}).status_code == 404


def test_the_switch_board_changes_a_running_shop(start: StartShop) -> None:
    shop = start(Settings(is_chaos_enabled=True))

    changed = shop.post("/chaos", json={"error_rate": 1})

    assert changed.json()["error_rate"] == 1.0
    assert shop.get("/api/products").status_code == 500


def test_an_unhandled_error_is_counted_and_says_nothing_of_itself(
    shop: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(store, "list_products", broken)

    answer = shop.get("/api/products")

    assert answer.status_code == 500
    assert answer.json() == {"detail": "internal error"}
    assert 'shop_request_errors_total{release="r1"} 1.0' in shop.get("/metrics").text
