"""`towpath deliveries`: what the webhook door received, what became of it, and having it done once more."""

import argparse
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from deployments.door_process import door_folder, open_store
from deployments.saying import complain, say
from tasks.adapters.deliveries import Deliveries, Delivery, StoredRun
from tasks.adapters.group_commit import StoreBroken
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", nargs="?", default="list", choices=["list", "show", "redeliver"], help="what to do (default: list)"
    )
    parser.add_argument("id", nargs="?", default="", help="a delivery, for show and redeliver; its beginning will do")
    parser.add_argument("--limit", type=int, default=20, help="how many to list (default: %(default)s)")


def run(chosen: argparse.Namespace) -> int:
    if not (door_folder(state_home()) / "deliveries.db").exists():
        complain("towpath deliveries: the door of this home has received nothing yet: towpath webhook opens it")
        return ExitCode.USAGE
    try:
        with closing(open_store(state_home())) as store:
            return _done(store, chosen)
    except StoreBroken as broken:
        complain(f"towpath deliveries: {broken}")
        return ExitCode.ERROR


def _done(store: Deliveries, chosen: argparse.Namespace) -> int:
    if chosen.action == "list":
        for delivery in store.recent(max(1, chosen.limit)).result():
            say(_line(delivery))
        return ExitCode.PASSED
    found = store.read(chosen.id).result() if chosen.id else None
    if found is None:
        complain(f"towpath deliveries: {chosen.id or 'no id'} is not one delivery: towpath deliveries lists them")
        return ExitCode.USAGE
    if chosen.action == "redeliver":
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
