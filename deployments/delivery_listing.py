"""What `towpath deliveries` says: what came in by the door, what became of it and why, and having it done again."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from deployments.saying import complain, say
from tasks.adapters.deliveries import Deliveries, Delivery, StoredRun, store_path
from tasks.adapters.group_commit import StoreBroken
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode


def tell(action: str, wanted: str, *, limit: int) -> int:
    """List, show or redeliver; the exit code."""
    if not store_path(state_home()).exists():
        complain("towpath deliveries: the door of this home has received nothing yet: towpath webhook opens it")
        return ExitCode.USAGE
    try:
        with closing(Deliveries(store_path(state_home()))) as store:
            return _done(store, action, wanted, limit)
    except StoreBroken as broken:
        complain(f"towpath deliveries: {broken}")
        return ExitCode.ERROR


def _done(store: Deliveries, action: str, wanted: str, limit: int) -> int:
    if action == "list":
        for delivery in store.recent(max(1, limit)).result():
            say(_line(delivery))
        return ExitCode.PASSED
    found = store.read(wanted).result() if wanted else None
    if found is None:
        complain(f"towpath deliveries: {wanted or 'no id'} is not one delivery: towpath deliveries lists them")
        return ExitCode.USAGE
    if action == "redeliver":
        store.redeliver(found.id).result()
        say(f"{found.id} will be done once more by the door, as new runs")
        return ExitCode.PASSED
    for line in _page(found):
        say(line)
    return ExitCode.PASSED


def _when(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _line(delivery: Delivery) -> str:
    counts = [f"{run.start.key} {run.state.value}" for run in delivery.runs]
    said = ", ".join(counts) or delivery.reason
    words = (_when(delivery.received_at), delivery.id, delivery.event, delivery.repository, delivery.state.value, said)
    return "  ".join(word for word in words if word)


def _page(delivery: Delivery) -> Iterator[str]:
    yield _line(delivery)
    yield f"by {delivery.sender}" + (f"; {delivery.reason}" if delivery.reason else "")
    for run in delivery.runs:
        yield _run_line(run)
    yield json.dumps(delivery.payload, indent=2)


def _run_line(run: StoredRun) -> str:
    words = (run.start.key, run.state.value, run.run, run.reason, f"key {run.idempotency_key}")
    return "  " + "  ".join(word for word in words if word)
