"""Which findings were known the last time somebody looked at what runs in an environment."""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tasks.adapters.state import write_atomically


def known_findings(state: Path, *, target: str, environment: str) -> frozenset[str] | None:
    """Their ids; None where nobody has looked before or the file cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return frozenset(map(str, json.loads(_place(state, target, environment).read_text())["findings"]))
    return None


def keep_findings(state: Path, ids: Iterable[str], *, target: str, environment: str) -> None:
    content = json.dumps({"findings": sorted(ids)}, indent=1)
    write_atomically(_place(state, target, environment), content)


def _place(state: Path, target: str, environment: str) -> Path:
    return state / "security" / "environments" / target / f"{environment}.json"
