"""Request counters and latencies, labelled by release so that a canary can be told from stable."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    def __init__(self, release: str) -> None:
        self._release = release
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "shop_requests",
            "Requests answered.",
            ["release", "method", "route", "status"],
            registry=self._registry,
        )
        self._errors = Counter(
            "shop_request_errors",
            "Requests answered with a 5xx status.",
            ["release"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "shop_request_seconds",
            "Time to answer a request.",
            ["release", "route"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        # Present from the start: a counter that appears with its first error hides that error.
        self._errors.labels(release)

    def record(self, *, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(self._release, method, route, str(status)).inc()
        self._seconds.labels(self._release, route).observe(seconds)
        if status >= 500:
            self._errors.labels(self._release).inc()

    def exposition(self) -> bytes:
        return generate_latest(self._registry)
