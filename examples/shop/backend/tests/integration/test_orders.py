"""Orders over HTTP."""

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response


def order(shop: TestClient, product_id: int, *quantities: int) -> Response:
    lines = [{"product_id": product_id, "quantity": quantity} for quantity in quantities]
    return shop.post("/api/orders", json={"customer": "Ada", "lines": lines})


def stock(shop: TestClient, product_id: int) -> int:
    return int(shop.get(f"/api/products/{product_id}").json()["stock"])


def test_an_order_takes_from_the_stock_at_the_price_of_the_day(
    shop: TestClient, boots: int
) -> None:
    placed = order(shop, boots, 2)

    assert placed.status_code == 201
    assert placed.json()["total_cents"] == 2000
    assert placed.json()["lines"] == [
        {"product_id": boots, "quantity": 2, "unit_price_cents": 1000}
    ]
    assert stock(shop, boots) == 1


def test_an_order_can_be_read_again(shop: TestClient, boots: int) -> None:
    placed = order(shop, boots, 1).json()

    found = shop.get(f"/api/orders/{placed['id']}").json()

    assert found["lines"] == placed["lines"]
    assert [listed["id"] for listed in shop.get("/api/orders").json()] == [placed["id"]]


def test_the_same_product_twice_is_one_line(shop: TestClient, boots: int) -> None:
    assert order(shop, boots, 1, 2).json()["lines"][0]["quantity"] == 3


@pytest.mark.parametrize("quantities", [(4,), (2, 2)])
def test_more_than_the_stock_is_refused_and_nothing_is_taken(
    shop: TestClient, boots: int, quantities: tuple[int, ...]
) -> None:
    assert order(shop, boots, *quantities).status_code == 409
    assert stock(shop, boots) == 3


def test_one_line_that_fails_gives_the_others_back(shop: TestClient, boots: int) -> None:
    lines = [{"product_id": boots, "quantity": 1}, {"product_id": 99, "quantity": 1}]

    answer = shop.post("/api/orders", json={"customer": "Ada", "lines": lines})

    assert answer.status_code == 404
    assert stock(shop, boots) == 3


def test_an_unknown_order_is_not_found(shop: TestClient) -> None:
    assert shop.get("/api/orders/99").status_code == 404


def test_an_order_without_lines_is_refused(shop: TestClient) -> None:
    assert shop.post("/api/orders", json={"customer": "Ada", "lines": []}).status_code == 422
