"""Where an environment keeps what it knows: `state/delivery/TARGET/ENVIRONMENT/`.

One folder per environment, so that everything about it can be looked at in one place, and two targets on one machine
never meet.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")


class NameRefused(Exception):
    """A target or environment cannot be called so; the text is one line."""


@dataclass(frozen=True)
class Ground:
    """The folder of one environment of one target."""

    state: Path
    target: str
    environment: str

    def __post_init__(self) -> None:
        for name in (self.target, self.environment):
            if not _NAME.match(name):
                raise NameRefused(
                    f"{name!r} cannot name a target or environment: letters, digits, dot, dash, underscore"
                )

    @property
    def folder(self) -> Path:
        return self.state / "delivery" / self.target / self.environment

    @property
    def data(self) -> Path:
        """What belongs to the environment itself: its database, for one."""
        return self.folder / "data"

    @property
    def records(self) -> Path:
        return self.folder / "releases"

    @property
    def canaries(self) -> Path:
        return self.folder / "canaries"

    @property
    def exists(self) -> bool:
        return self.folder.is_dir()


def known_grounds(state: Path) -> tuple[Ground, ...]:
    """Every environment of every target of this home."""
    found = sorted((state / "delivery").glob("*/*"))
    named = [path for path in found if _NAME.match(path.name) and _NAME.match(path.parent.name)]
    return tuple(Ground(state, path.parent.name, path.name) for path in named if path.is_dir())
