"""Secrets of an environment: named in configuration, kept in a file that only this user may read, and nowhere else.

A variable whose value holds `{secret:NAME}` gets that line of `secrets.env` in the environment's folder when an
instance starts or a database command runs. No record, report, artifact or approval ever holds the value: what they
show is the configuration, which only names it.
"""

import re
import stat
from collections.abc import Mapping
from pathlib import Path

FILE = "secrets.env"
_NAMED = re.compile(r"\{secret:([A-Za-z_][A-Za-z0-9_]*)\}")


class SecretMissing(Exception):
    """A named secret cannot be had; the text says which, and never shows one."""


def with_secrets(variables: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The variables with every named secret in its place. Raises SecretMissing."""
    if not any(_NAMED.search(value) for value in variables.values()):
        return dict(variables)
    secrets = _read(folder / FILE)

    def value(found: re.Match[str]) -> str:
        if found[1] not in secrets:
            raise SecretMissing(f"the secret {found[1]} is not in {folder / FILE}: add the line {found[1]}=...")
        return secrets[found[1]]

    return {name: _NAMED.sub(value, text) for name, text in variables.items()}


def _read(path: Path) -> dict[str, str]:
    """Lines of NAME=value; empty ones and those that begin with # are passed over."""
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise SecretMissing(
            f"{path} cannot be read: make it, with one NAME=value a line, and chmod 600"
        ) from unreadable
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretMissing(f"{path} can be read by others: chmod 600 {path}")
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name.strip(): value for name, _, value in pairs}
