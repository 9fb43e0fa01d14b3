"""What a delivery run is asked to do, the same from the command line, the UI, a schedule and a webhook."""

import getpass
from contextlib import suppress
from dataclasses import dataclass

from tasks.core.origin import Origin


@dataclass(frozen=True, kw_only=True)
class DeliveryRequest:
    """`who` and `why` go into the record as they are claimed; `override` passes over gates and is recorded too."""

    target: str
    ref: str | None = None
    who: str = ""
    why: str = ""
    override: str = ""
    overrides: tuple[str, ...] = ()
    wait_seconds: float = 0.0
    origin: Origin | None = None


def named(who: str) -> str:
    """The name that was given, else the one this machine knows its user by."""
    if who.strip():
        return who.strip()
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return "unknown"
