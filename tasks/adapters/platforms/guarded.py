"""The environments a guard looks at each second: their platforms and safekeepings, made once and remembered.

A guard that forgot what it saw at its last look would never know that a flow has been silent since.
"""

from dataclasses import dataclass

from tasks.adapters.grounds import Ground
from tasks.adapters.platforms.choosing import Whereabouts, platform_of, safekeeping_of, whereabouts_of
from tasks.adapters.platforms.kubernetes.leasing import Watcher
from tasks.core.platform import Platform
from tasks.core.safekeeping import Safekeeping

# One cluster that is away must not keep the guard from other environments; it is asked again at the next look.
_PATIENCE_SECONDS = 3.0


@dataclass(frozen=True)
class Guarded:
    """One environment, as a guard meets it."""

    ground: Ground
    platform: Platform
    keeping: Safekeeping


class GuardedPlaces:
    """What one guard knows of its environments."""

    def __init__(self, process: str = "") -> None:
        self._watcher = Watcher(process)
        self._known: dict[Ground, tuple[Whereabouts | None, Guarded]] = {}

    def of(self, ground: Ground) -> Guarded:
        """Made anew when it was prepared elsewhere meanwhile. Raises PlatformTrouble."""
        where = whereabouts_of(ground)
        if ground not in self._known or self._known[ground][0] != where:
            keeping = safekeeping_of(ground, self._watcher, patience_seconds=_PATIENCE_SECONDS)
            made = Guarded(ground, platform_of(ground, patience_seconds=_PATIENCE_SECONDS), keeping)
            self._known[ground] = (where, made)
        return self._known[ground][1]
