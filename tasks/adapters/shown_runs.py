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

_YOUNG_SECONDS = 120.0


@dataclass(frozen=True)
class ShownRun:
    """A run as a forge shows it; `page` is its address in the Prefect UI, and `ending` the conclusion it came to, of
    which the forge may not have heard."""

    run_id: str
    flow: str
    page: str
    origin: Origin
    ending: str = ""
    reason: str = ""


def remember_shown(state: Path, run: ShownRun) -> None:
    told = {
        "flow": run.flow,
        "page": run.page,
        "origin": run.origin.model_dump(mode="json"),
        "ending": run.ending,
        "reason": run.reason,
    }
    write_atomically(_file(state, run.run_id), json.dumps(told))


def forget_shown(state: Path, run_id: str) -> None:
    _file(state, run_id).unlink(missing_ok=True)


def dead_shown(state: Path, *, now: float) -> Iterator[ShownRun]:
    """Those whose process is gone. A run that was only just shown may not be marked as alive yet, and is left alone."""
    live, _ = live_and_dead(state)
    for path in sorted(_folder(state).glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            if path.stem in live or now - path.stat().st_mtime < _YOUNG_SECONDS:
                continue
            told = json.loads(path.read_bytes())
            origin = Origin.model_validate(told["origin"])
            yield ShownRun(path.stem, told["flow"], told["page"], origin, told["ending"], told["reason"])


def _folder(state: Path) -> Path:
    return state / "shown"


def _file(state: Path, run_id: str) -> Path:
    return _folder(state) / f"{run_id}.json"
