"""What the door counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class DoorMetrics:
    """One registry, so that two doors in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = Counter(
            "towpath_door_answers", "Answers to deliveries, by status", ["status"], registry=self.registry
        )
        self.deliveries = Counter(
            "towpath_door_deliveries", "Deliveries kept, by event and state", ["event", "state"], registry=self.registry
        )
        self.runs = Counter("towpath_door_runs", "Runs, by what became of them", ["state"], registry=self.registry)
        self.backlog = Gauge("towpath_door_backlog", "Runs and commands that wait", registry=self.registry)
        self.seconds = Histogram(
            "towpath_door_answer_seconds",
            "Seconds until the answer",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=self.registry,
        )
