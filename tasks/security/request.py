"""What a security run is asked to do, the same from the command line, the UI, a schedule and a webhook."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tasks.core.afresh import afresh_among
from tasks.core.origin import Origin
from tasks.request import MayLack


@dataclass(frozen=True, kw_only=True)
class SecurityRequest:
    """`base` is the ref whose findings are known ones; `watches_production` looks at what runs there too, and `afresh`
    names scans whose earlier results are not believed."""

    target: str
    ref: str | None = None
    base: str | None = None
    use_cache: bool = True
    may_lack: frozenset[MayLack] = frozenset()
    overrides: tuple[str, ...] = ()
    watches_production: bool = False
    origin: Origin | None = None
    afresh: tuple[str, ...] = ()

    def among(self, ids: Iterable[str]) -> "SecurityRequest":
        """The same, with the scans of a plan that are meant."""
        return replace(self, afresh=tuple(sorted(afresh_among(self.afresh, ids))))

    def believes(self, scan_id: str) -> bool:
        """Whether an earlier result of this scan will do."""
        return self.use_cache and scan_id not in self.afresh

    def at(self, ref: str | None) -> "SecurityRequest":
        """The same of another revision, by itself."""
        return replace(self, ref=ref, base=None, watches_production=False, afresh=())


def with_block_on(overrides: Iterable[str], block_on: str | None) -> tuple[str, ...]:
    """The settings of this run, the level among them when one was given."""
    return (*overrides, f"security.block_on={block_on}") if block_on else tuple(overrides)
