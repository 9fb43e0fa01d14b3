"""What earlier runs found out about a revision, from the reports they left on disk."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.outcome import Verdict


@dataclass(frozen=True)
class PastRun:
    """How a flow ended on one revision; `started` is ISO 8601 in UTC, `checks` the verdict of each."""

    flow: str
    name: str
    revision: str
    is_dirty: bool
    verdict: Verdict
    reason: str
    started: str
    folder: str
    overrides: tuple[str, ...]


def past_runs(state: Path, *, name: str, revision: str) -> tuple[PastRun, ...]:
    """Every run of any flow over this revision of the target, newest first; what cannot be read is not there."""
    found: list[PastRun] = []
    for path in sorted((state / "reports").glob("*/report.json"), reverse=True):
        with suppress(OSError, ValueError, KeyError, TypeError):
            read = json.loads(path.read_bytes())
            if read["revision"] == revision and read["name"] == name:
                found.append(_past_run(read, path))
    return tuple(found)


def _past_run(read: dict[str, Any], path: Path) -> PastRun:
    return PastRun(
        flow=str(read["flow"]),
        name=str(read["name"]),
        revision=str(read["revision"]),
        is_dirty=bool(read["dirty"]),
        verdict=Verdict(str(read["verdict"])),
        reason=str(read["reason"]),
        started=str(read["started"]),
        folder=str(path.parent),
        overrides=tuple(map(str, read.get("overrides") or ())),
    )
