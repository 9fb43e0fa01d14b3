"""Products over HTTP."""

from fastapi.testclient import TestClient


def test_a_new_product_is_listed_and_found(shop: TestClient, boots: int) -> None:
    expected = {"id": boots, "name": "Boots", "description": "", "price_cents": 1000, "stock": 3}

    assert shop.get("/api/products").json() == [expected]
    assert shop.get(f"/api/products/{boots}").json() == expected


def test_an_unknown_product_is_not_found(shop: TestClient) -> None:
    assert shop.get("/api/products/99").status_code == 404


def test_a_name_is_sold_once(shop: TestClient, boots: int) -> None:
    again = shop.post("/api/products", json={"name": "Boots", "price_cents": 1, "stock": 1})

    assert again.status_code == 409
    assert "Boots" in again.json()["detail"]


def test_a_negative_price_is_refused(shop: TestClient) -> None:
    answer = shop.post("/api/products", json={"name": "Gift", "price_cents": -1, "stock": 1})

    assert answer.status_code == 422
