"""What a security run is asked to do, the same from the command line, the UI, a schedule and a webhook."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tasks.core.origin import Origin
from tasks.request import MayLack


@dataclass(frozen=True, kw_only=True)
class SecurityRequest:
    """`base` is the ref whose findings are known ones; `watches_production` looks at what runs there too."""

    target: str
    ref: str | None = None
    base: str | None = None
    use_cache: bool = True
    may_lack: frozenset[MayLack] = frozenset()
    overrides: tuple[str, ...] = ()
    watches_production: bool = False
    origin: Origin | None = None

    def at(self, ref: str | None) -> "SecurityRequest":
        """The same of another revision, by itself."""
        return replace(self, ref=ref, base=None, watches_production=False)


def with_block_on(overrides: Iterable[str], block_on: str | None) -> tuple[str, ...]:
    """The settings of this run, the level among them when one was given."""
    return (*overrides, f"security.block_on={block_on}") if block_on else tuple(overrides)
