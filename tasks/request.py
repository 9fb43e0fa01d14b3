"""What a CI run is asked to do, the same from the command line, the UI, a schedule and a webhook."""

from dataclasses import dataclass
from enum import StrEnum

from tasks.core.origin import Origin


class MayLack(StrEnum):
    """What a run may go without, its checks then skipped with that reason instead of being errors."""

    DOCKER = "docker"


@dataclass(frozen=True, kw_only=True)
class CiRequest:
    target: str
    ref: str | None = None
    fail_fast: bool | None = None
    use_cache: bool = True
    may_lack: frozenset[MayLack] = frozenset()
    overrides: tuple[str, ...] = ()
    origin: Origin | None = None
