"""The salt of this Towpath's fingerprints of secrets, so that a fingerprint cannot be looked up in a table.

Teams that want the same fingerprints on every machine, for waivers, give the same TOWPATH_FINGERPRINT_SALT to all.
"""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_SALT_BYTES = 32


def salt_of(state: Path, environment: Mapping[str, str] = os.environ) -> bytes:
    """The team's salt, else this home's own, made at the first call; readable by its owner only."""
    if shared := environment.get("TOWPATH_FINGERPRINT_SALT"):
        return shared.encode()
    path = state / "security" / "salt"
    with suppress(FileNotFoundError):
        if len(kept := path.read_bytes()) == _SALT_BYTES:
            return kept
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".salt.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(secrets.token_bytes(_SALT_BYTES))
    try:
        # NOTE: a link and not a rename: of two runs that make it at once, both must go on with the first one's.
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return path.read_bytes()
