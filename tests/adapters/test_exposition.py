"""What an instance counts, read from real expositions; what cannot be used is never a zero."""

import asyncio
import math

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from tasks.adapters.exposition import Unreadable, parsed, scrape
from tasks.core.delivery_settings import MetricsSettings

SETTINGS = MetricsSettings(
    requests="shop_requests_total", errors="shop_request_errors_total", seconds="shop_request_seconds"
)


def exposition(*, requests: int) -> str:
    """What a service with Prometheus's own client says."""
    registry = CollectorRegistry()
    counted = Counter("shop_requests", "Requests.", ["route"], registry=registry)
    Counter("shop_request_errors", "Errors.", registry=registry)
    seconds = Histogram("shop_request_seconds", "Seconds.", ["route"], buckets=(0.1, 1.0), registry=registry)
    for number in range(requests):
        counted.labels(f"/{number % 2}").inc()
        seconds.labels(f"/{number % 2}").observe(0.05 if number else 5.0)
    return generate_latest(registry).decode()


def test_all_series_of_an_instance_are_added_up() -> None:
    """Requests of every route count, and so do the buckets."""
    found = parsed(exposition(requests=5), SETTINGS)
    assert (found.requests, found.errors) == (5, 0)
    assert found.buckets == {0.1: 4, 1.0: 4, math.inf: 5}


def test_what_is_declared_and_not_counted_yet_is_a_zero() -> None:
    """A labelled counter has no series before the first request."""
    found = parsed(exposition(requests=0), SETTINGS)
    assert (found.requests, found.errors, found.buckets) == (0, 0, {})


@pytest.mark.parametrize("name", ["shop_requests", "shop_requests_total"])
def test_a_counter_is_known_with_and_without_its_suffix(name: str) -> None:
    """People write both."""
    assert parsed(exposition(requests=3), SETTINGS.model_copy(update={"requests": name})).requests == 3


def test_a_counter_that_is_missing_is_unreadable() -> None:
    """An error counter that does not exist hides errors."""
    text = exposition(requests=3).replace("shop_request_errors", "other_errors")
    with pytest.raises(Unreadable, match="no counter shop_request_errors_total"):
        parsed(text, SETTINGS)


@pytest.mark.parametrize(
    "text", ["<html>", "shop_requests_total{ 1", "shop_requests_total nan\n", "shop_requests_total -1\n"]
)
def test_what_is_no_exposition_is_unreadable(text: str) -> None:
    """A page, half an answer and a value that is no count are not zeros."""
    with pytest.raises(Unreadable):
        parsed(text + "\nshop_request_errors_total 0\n", SETTINGS)


def test_other_metrics_do_not_count() -> None:
    """A name that begins alike is another metric."""
    text = exposition(requests=3) + "shop_requests_total_old 100\nshop_request_seconds_count 8\n"
    assert parsed(text, SETTINGS).requests == 3


def test_nobody_there_is_unreadable() -> None:
    """A port nobody listens on says why."""
    with pytest.raises(Unreadable, match="/metrics: "):
        asyncio.run(scrape("http://127.0.0.1:9", SETTINGS))
