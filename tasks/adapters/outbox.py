"""Messages on their way to people: on disk before the first try, tried again until taken or given up, told once.

It solves that a chat service which is away at night swallows the one message that mattered. It promises that posting
never raises and never waits longer than one try, and that a message which was taken is not sent again. What waits and
what was given up can be read; the addresses are not in it.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.adapters.locks import locked
from tasks.adapters.notifications import NotTold, addresses_in, tell_address
from tasks.adapters.state import write_atomically
from tasks.core.notices import Notice, NotificationSettings, next_try_seconds

_KEPT_SECONDS = 30 * 86_400.0


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A message not all have taken: `trouble` is why, `tries` how often, and whether it was given up."""

    message: str
    trouble: str
    tries: int
    is_given_up: bool


async def post(
    state: Path, notice: Notice, settings: NotificationSettings, *, base: Mapping[str, str] = os.environ
) -> str:
    """Tell it now, and later again where that fails; what became of it, in words. Never raises."""
    try:
        return await _posted(state, notice, settings, base)
    except Exception as failure:  # noqa: BLE001  (no run may fail because nobody could be told)
        return _not_told(failure)


def _not_told(failure: Exception) -> str:
    """An error of the system has words that name no address; of any other only its kind is known to be fit."""
    why = failure.strerror if isinstance(failure, OSError) else None
    return f"NOT TOLD: {why or type(failure).__name__}"


async def _posted(state: Path, notice: Notice, settings: NotificationSettings, base: Mapping[str, str]) -> str:
    message = settings.message_of(notice)
    if message is None:
        return f"nobody was told: notifications.events leaves out {notice.event}"
    wanted = list(addresses_in(settings.url_variable, base))
    if not wanted:
        return f"nobody was told: {settings.url_variable} is not set"
    file = _folder(state) / f"{notice.key}.json"
    if file.exists():
        return await _deliver(file, base)
    facts = {"event": str(notice.event), "target": notice.target, "environment": notice.environment}
    letter = {
        "message": message,
        "facts": {**facts, "version": notice.version, **notice.facts},
        "variable": settings.url_variable,
        "timeout_seconds": settings.timeout_seconds,
        "left": wanted,
        "tries": 0,
        "at": time.time(),
        "next": time.time(),
        "trouble": "",
    }
    write_atomically(file, json.dumps(letter), mode=0o600)
    return await _deliver(file, base)


async def deliver_due(state: Path, *, now: float, base: Mapping[str, str] = os.environ) -> None:
    """Try again what is due, and forget what is old. Never raises."""
    for file in sorted(_folder(state).glob("*.json")):
        # NOTE: one letter that is broken must not keep the others, whatever is wrong with it.
        with suppress(Exception):
            await _look_at(file, now, base)


async def _look_at(file: Path, now: float, base: Mapping[str, str]) -> None:
    letter = _read(file)
    if letter is None or now - letter["at"] > _KEPT_SECONDS:
        file.unlink(missing_ok=True)
    elif letter["left"] and letter["next"] is not None and letter["next"] <= now:
        await _deliver(file, base)


def waiting(state: Path) -> Iterator[Waiting]:
    """What not everybody has taken, oldest first."""
    found = [letter for file in _folder(state).glob("*.json") if (letter := _read(file)) and letter["left"]]
    for letter in sorted(found, key=lambda letter: float(letter["at"])):
        yield Waiting(
            message=letter["message"],
            trouble=letter["trouble"],
            tries=letter["tries"],
            is_given_up=letter["next"] is None,
        )


async def _deliver(file: Path, base: Mapping[str, str]) -> str:
    """One try with every address left. Two processes never try the same letter at once."""
    with suppress(BlockingIOError), locked(file.with_suffix(".lock")):
        letter = _read(file)
        if letter is None or not letter["left"]:
            return "told already"
        said = await _tried(letter, addresses_in(letter["variable"], base))
        with suppress(OSError):
            write_atomically(file, json.dumps(letter), mode=0o600)
        return said
    return "another process is telling it"


async def _tried(letter: dict[str, Any], known: Mapping[str, str]) -> str:
    """The letter with what is left of it; what became of the try."""
    said: list[str] = []
    troubles: list[str] = []
    for name in list(letter["left"]):
        try:
            said.append(await _told(known.get(name, ""), letter))
            letter["left"].remove(name)
        except NotTold as failed:
            troubles.append(str(failed))
        except Exception as failure:  # noqa: BLE001  (what one service does must not keep the others)
            troubles.append(f"an address in {letter['variable']} failed ({type(failure).__name__})")
    letter["tries"] += 1
    wait = next_try_seconds(letter["tries"])
    letter["trouble"], letter["next"] = "; ".join(troubles), None if wait is None else time.time() + wait
    if troubles:
        said.append(f"NOT TOLD: {letter['trouble']}; " + ("given up" if wait is None else "it is tried again"))
    return "; ".join(said)


async def _told(address: str, letter: Mapping[str, Any]) -> str:
    if not address:
        raise NotTold(f"an address is no longer in {letter['variable']}")
    return await tell_address(
        address,
        letter["message"],
        letter["facts"],
        variable=letter["variable"],
        timeout_seconds=letter["timeout_seconds"],
    )


def _folder(state: Path) -> Path:
    return state / "outbox"


def _read(file: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        letter = json.loads(file.read_bytes())
        if isinstance(letter, dict) and {"message", "left", "next", "at", "tries", "variable"} <= letter.keys():
            return letter
    return None
