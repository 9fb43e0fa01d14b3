"""Runs that a forge shows as going on, written down until it knows how they ended.

It solves that a run which is killed would go on for ever where people review. It promises that whatever was shown and
not concluded is found by whoever looks after the dead. It must never hold a token.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.adapters.live_runs import live_and_dead
from tasks.adapters.state import write_atomically
from tasks.core.origin import Origin


@dataclass(frozen=True)
class ShownRun:
    """A run as a forge shows it; `page` is its address in the Prefect UI."""

    run_id: str
    flow: str
    page: str
    origin: Origin


def remember_shown(state: Path, run: ShownRun) -> None:
    told = {"flow": run.flow, "page": run.page, "origin": run.origin.model_dump(mode="json")}
    write_atomically(_file(state, run.run_id), json.dumps(told))


def forget_shown(state: Path, run_id: str) -> None:
    _file(state, run_id).unlink(missing_ok=True)


def dead_shown(state: Path) -> Iterator[ShownRun]:
    """Those whose process is gone."""
    live, _ = live_and_dead(state)
    for path in sorted(_folder(state).glob("*.json")):
        if path.stem in live:
            continue
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(path.read_bytes())
            yield ShownRun(path.stem, told["flow"], told["page"], Origin.model_validate(told["origin"]))


def _folder(state: Path) -> Path:
    return state / "shown"


def _file(state: Path, run_id: str) -> Path:
    return _folder(state) / f"{run_id}.json"
