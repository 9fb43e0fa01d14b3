"""What a CI run is asked to do, the same from the command line, the UI, a schedule and a webhook."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from tasks.core.afresh import afresh_among
from tasks.core.origin import Origin


class MayLack(StrEnum):
    """What a run may go without, its checks then skipped with that reason instead of being errors."""

    DOCKER = "docker"


@dataclass(frozen=True, kw_only=True)
class CiRequest:
    """`afresh` names checks whose earlier results are not believed, as somebody wrote them."""

    target: str
    ref: str | None = None
    fail_fast: bool | None = None
    use_cache: bool = True
    may_lack: frozenset[MayLack] = frozenset()
    overrides: tuple[str, ...] = ()
    origin: Origin | None = None
    afresh: tuple[str, ...] = ()

    def among(self, ids: Iterable[str]) -> "CiRequest":
        """The same, with the checks of a plan that are meant."""
        return replace(self, afresh=tuple(sorted(afresh_among(self.afresh, ids))))

    def believes(self, check_id: str) -> bool:
        """Whether an earlier result of this check will do."""
        return self.use_cache and check_id not in self.afresh
