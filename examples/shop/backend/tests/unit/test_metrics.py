"""What is counted."""

from shop.metrics import Metrics


def test_the_error_counter_is_there_before_the_first_error() -> None:
    assert b'shop_request_errors_total{release="r1"} 0.0' in Metrics("r1").exposition()


def test_a_server_error_counts_as_request_and_as_error() -> None:
    metrics = Metrics("r1")

    metrics.record(method="GET", route="/api/products", status=500, seconds=0.2)

    text = metrics.exposition().decode()
    assert 'shop_request_errors_total{release="r1"} 1.0' in text
    assert 'route="/api/products",status="500"} 1.0' in text
    assert 'le="0.25",release="r1",route="/api/products"} 1.0' in text


def test_a_customer_mistake_is_no_error() -> None:
    metrics = Metrics("r1")

    metrics.record(method="GET", route="/api/products", status=404, seconds=0.2)

    assert 'shop_request_errors_total{release="r1"} 0.0' in metrics.exposition().decode()
