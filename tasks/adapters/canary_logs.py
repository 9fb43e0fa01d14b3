"""Recorded canaries on disk: `canaries/NAME/canary.json` and, a line each, `snapshots.jsonl`.

Snapshots are appended as they are taken, so that a canary whose flow was killed can be looked at up to its last scrape.
"""

import json
import shutil
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from tasks.adapters.grounds import Ground
from tasks.adapters.state import write_atomically
from tasks.core.canary_log import CanaryLog, snapshot_line, snapshot_of
from tasks.core.counters import Snapshot

_HEAD = "canary.json"
_SNAPSHOTS = "snapshots.jsonl"


def begin_log(folder: Path, head: CanaryLog, history: tuple[Snapshot, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / _SNAPSHOTS, "".join(map(_line, history)))
    write_head(folder, head)


def write_head(folder: Path, head: CanaryLog) -> None:
    write_atomically(folder / _HEAD, head.model_dump_json(indent=2) + "\n")


def append(folder: Path, snapshot: Snapshot) -> None:
    with (folder / _SNAPSHOTS).open("a", encoding="utf-8") as stream:
        stream.write(_line(snapshot))


def _line(snapshot: Snapshot) -> str:
    return json.dumps(snapshot_line(snapshot)) + "\n"


def read_log(folder: Path) -> tuple[CanaryLog, tuple[Snapshot, ...]] | None:
    """Head and snapshots; None when the head cannot be read. A last line that was cut short is left out."""
    try:
        head = CanaryLog.model_validate_json((folder / _HEAD).read_bytes())
    except (OSError, ValidationError, ValueError):
        return None
    snapshots: list[Snapshot] = []
    with suppress(OSError):
        for line in (folder / _SNAPSHOTS).read_text("utf-8").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                snapshots.append(snapshot_of(json.loads(line)))
    return head, tuple(snapshots)


def logs_of(ground: Ground) -> tuple[Path, ...]:
    """Every recorded canary of the environment, oldest first."""
    return tuple(sorted(path.parent for path in ground.canaries.glob(f"*/{_HEAD}")))


def forget_old_logs(ground: Ground, *, kept: int) -> None:
    """Delete all but the youngest recordings, of which each is some hundred kilobytes."""
    for folder in logs_of(ground)[:-kept]:
        shutil.rmtree(folder, ignore_errors=True)
