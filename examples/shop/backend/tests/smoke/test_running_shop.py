"""A running shop answers as its users need: SHOP_URL's, else one started for the test."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import uvicorn

from shop.app import create_app
from shop.database import migrate
from shop.settings import Settings

START_SECONDS = 10.0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    if url := os.environ.get("SHOP_URL"):
        with httpx2.Client(base_url=url) as client:
            yield client
        return
    yield from _started(tmp_path_factory.mktemp("smoke"))


def _started(folder: Path) -> Iterator[httpx2.Client]:
    database = f"sqlite:///{folder / 'shop.db'}"
    migrate(database)
    app = create_app(Settings(database_url=database, release="smoke"))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            _wait_until_started(server, thread)
            with httpx2.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}") as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        assert thread.is_alive(), "the server stopped while starting"
        assert time.monotonic() < deadline, f"the server did not start in {START_SECONDS} s"
        thread.join(0.01)


def test_it_is_alive_and_ready(shop: httpx2.Client) -> None:
    assert shop.get("/healthz").status_code == 200
    assert shop.get("/readyz").status_code == 200


def test_it_lists_its_products(shop: httpx2.Client) -> None:
    products = shop.get("/api/products")

    assert products.status_code == 200
    assert isinstance(products.json(), list)


def test_it_counts_its_requests(shop: httpx2.Client) -> None:
    assert "shop_request_errors_total" in shop.get("/metrics").text
