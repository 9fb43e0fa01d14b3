"""Which targets are scanned every night, as a list in Towpath's home that people add to and take from."""

import json
from contextlib import suppress
from pathlib import Path

from tasks.adapters.locks import wait_for_lock
from tasks.adapters.state import write_atomically


def daily_targets(state: Path) -> tuple[str, ...]:
    """In the order they were added; what cannot be read is an empty list."""
    with suppress(OSError, ValueError, TypeError):
        return tuple(map(str, json.loads(_place(state).read_text())))
    return ()


async def set_daily(state: Path, target: str, *, is_daily: bool) -> None:
    """Add a target or take it away; either twice changes nothing."""
    place = _place(state)
    place.parent.mkdir(parents=True, exist_ok=True)
    async with wait_for_lock(place.with_suffix(".lock")):
        others = [known for known in daily_targets(state) if known != target]
        write_atomically(place, json.dumps([*others, target] if is_daily else others, indent=1))


def _place(state: Path) -> Path:
    return state / "security" / "daily.json"
