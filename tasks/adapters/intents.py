"""Intents and heartbeats beside an environment's state, and the machine's own clock they are measured by."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tasks.adapters.grounds import Ground
from tasks.adapters.permits import changing
from tasks.adapters.state import write_atomically
from tasks.core.intent import Heartbeat, Intent
from tasks.core.platform import Permit

_Kept = TypeVar("_Kept", bound=BaseModel)


def boot_id() -> str:
    """What changes when the machine is restarted; empty where the system does not say."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def machine_seconds() -> float:
    """The clock that all processes of this boot share and nobody sets."""
    return time.monotonic()


def write_intent(ground: Ground, intent: Intent) -> None:
    """Keep the promise on disk, before anything moves. Raises PermitRevoked when the lock is not this change's."""
    with changing(ground.folder, Permit(ground.environment, intent.token)):
        write_atomically(ground.folder / "intent.json", intent.model_dump_json(indent=2) + "\n", is_durable=True)
    beat(ground, intent.token)


def beat(ground: Ground, token: str) -> None:
    """A sign of life."""
    sign = Heartbeat(token=token, boot=boot_id(), at=machine_seconds())
    write_atomically(ground.folder / "heartbeat.json", sign.model_dump_json())


def read_intent(ground: Ground) -> Intent | None:
    return _read(ground.folder / "intent.json", Intent)


def has_intent(ground: Ground) -> bool:
    """Whether something was promised here, readable or not."""
    return (ground.folder / "intent.json").exists()


def read_heartbeat(ground: Ground) -> Heartbeat | None:
    return _read(ground.folder / "heartbeat.json", Heartbeat)


def _read(path: Path, kind: type[_Kept]) -> _Kept | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError, ValueError):
        return None


def forget_intent(ground: Ground, permit: Permit) -> None:
    """The change is over. Left as it is when somebody else has the environment meanwhile."""
    with changing(ground.folder, permit):
        for name in ("intent.json", "heartbeat.json"):
            (ground.folder / name).unlink(missing_ok=True)


def process_id() -> int:
    """Of the flow itself, by which its lock is told from that of the dead."""
    return os.getpid()
