"""The local platform as flows, the guard and the command line see it.

Every change is a new `wanted.json`, written under the environment's mutex and only by whoever holds the permit, and at
once the router's configuration with it. So what takes traffic from a candidate needs no supervisor: it works with the
files and the router alone, and says so when the router does not follow.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.adapters.daemons import birth_of, free_port
from tasks.adapters.permits import changing, mutex
from tasks.adapters.platforms.local import history
from tasks.adapters.platforms.local.folder import EnvironmentFolder, environment_folders
from tasks.adapters.platforms.local.following import FOLLOW_SECONDS, wait_until_followed, what_is_followed
from tasks.core.counters import Snapshot
from tasks.core.delivery_settings import ComponentSettings
from tasks.core.observed import Observed, ObservedProcess
from tasks.core.platform import EnvironmentStatus, Permit, PlatformTrouble, Role
from tasks.core.presence import candidate_is_ready, lost_by_promoting, status_of
from tasks.core.release import Release
from tasks.core.wanted import Wanted, promoted, scaled, weighted, with_candidate, without_candidate


class Artifact(BaseModel):
    """`artifact.json` of what was built."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    components: Mapping[str, ComponentSettings]


class LocalPlatform:
    """All environments of one target on this machine."""

    def __init__(self, state: Path, target: str, *, follow_seconds: float = FOLLOW_SECONDS) -> None:
        self.state = state
        self.target = target
        self.follow_seconds = follow_seconds

    def folder(self, environment: str) -> EnvironmentFolder:
        for name in (self.target, environment):
            if not name or name.startswith(".") or "/" in name:
                raise PlatformTrouble(f"{name!r} cannot name a folder: use letters, digits, - and _")
        return EnvironmentFolder(self.state / "delivery" / self.target / environment)

    def prepare(self, environment: str, preferred_port: int) -> str:
        """Create the environment's folders and choose its port for good; returns its URL."""
        folder = self.folder(environment)
        folder.create()
        # One at a time for all environments of this machine, so that no port is promised twice.
        with mutex(self.state / "delivery"), mutex(folder.path):
            wanted = folder.read_wanted()
            if wanted is None:
                wanted = Wanted(port=_unclaimed_port(self.state, preferred_port))
                folder.write_wanted(wanted)
        return _url(wanted)

    @property
    def has_surroundings(self) -> bool:
        return False

    async def preview(self, release: Release) -> tuple[str, ...]:
        del release
        return ()

    async def surround(self, permit: Permit, release: Release) -> None:
        """Processes bring with them what they need."""
        del release
        with changing(self.folder(permit.environment).path, permit):
            pass

    async def put(self, permit: Permit, release: Release, replicas: dict[str, int]) -> None:
        components = _components(self.folder(permit.environment), release)
        self._change(permit, lambda wanted, _: with_candidate(wanted, release, components, replicas))

    async def scale(self, permit: Permit, role: Role, replicas: dict[str, int]) -> None:
        self._change(permit, lambda wanted, _: scaled(wanted, role, replicas))

    async def set_weight(self, permit: Permit, candidate_percent: float) -> None:
        def change(wanted: Wanted, observed: Observed) -> Wanted:
            if candidate_percent > 0 and wanted.candidate and not candidate_is_ready(wanted.candidate, observed):
                version = wanted.candidate.release.version
                raise PlatformTrouble(f"no instance of {version} is ready: wait for one before it gets traffic")
            return weighted(wanted, candidate_percent)

        await self._follow(permit, self._change(permit, change))

    async def promote(self, permit: Permit) -> None:
        def change(wanted: Wanted, observed: Observed) -> Wanted:
            if lost := lost_by_promoting(wanted, observed):
                raise PlatformTrouble(f"promoting would leave {', '.join(lost)} without a ready instance: wait for one")
            return promoted(wanted)

        await self._follow(permit, self._change(permit, change))

    async def remove(self, permit: Permit) -> None:
        """One change for both: the router gets the candidate's share and instances taken out, then they are drained."""
        had_candidate = False

        def change(wanted: Wanted, _: Observed) -> Wanted:
            nonlocal had_candidate
            had_candidate = wanted.candidate is not None
            return without_candidate(wanted)

        changed = self._change(permit, change)
        if had_candidate or _is_alive(self.folder(permit.environment).read_observed().router):
            await self._follow(permit, changed)

    async def status(self, environment: str) -> EnvironmentStatus:
        folder = self.folder(environment)
        wanted, observed = folder.read_wanted(), _as_it_is(folder.read_observed())
        if wanted is None:
            return EnvironmentStatus(environment, "", None, None, 0.0, (), note="nothing was ever put here")
        seen = await what_is_followed(observed.router.private_port) if observed.router.birth else None
        return status_of(
            environment, _url(wanted), wanted, observed, seen, is_supervised=_is_alive(observed.supervisor)
        )

    async def snapshot(self, environment: str) -> Snapshot:
        folder = self.folder(environment)
        wanted = folder.read_wanted()
        if wanted is None:
            raise PlatformTrouble(f"{environment} was never prepared: there is nothing to measure")
        return await history.taken(wanted, folder.read_observed(), tuple(Role), now=time.monotonic())

    async def recent(self, environment: str, seconds: float) -> tuple[Snapshot, ...]:
        since = time.monotonic() - seconds
        return tuple(each for each in history.read(self.folder(environment).history) if each.at >= since)

    def _change(self, permit: Permit, change: Callable[[Wanted, Observed], Wanted]) -> Wanted:
        """One change, and the router's configuration for it."""
        folder = self.folder(permit.environment)
        with changing(folder.path, permit):
            wanted, observed = folder.read_wanted(), _as_it_is(folder.read_observed())
            if wanted is None:
                raise PlatformTrouble(f"{permit.environment} was never prepared: it has no port yet")
            changed = change(wanted, observed)
            folder.write_wanted(changed)
            folder.write_routes(changed, observed)
        return changed

    async def _follow(self, permit: Permit, wanted: Wanted) -> None:
        folder = self.folder(permit.environment)

        def private_port() -> int:
            router = folder.read_observed().router
            return router.private_port if _is_alive(router) else 0

        if await wait_until_followed(
            private_port, lambda answer: answer.revision >= wanted.revision, seconds=self.follow_seconds
        ):
            return
        why = "it does not follow" if private_port() else "it does not run"
        raise PlatformTrouble(
            f"the router of {permit.environment} was told, but {why} after {self.follow_seconds:g} s: "
            f"look at {folder.log_of('router')}, and start the platform with towpath up"
        )


def _components(folder: EnvironmentFolder, release: Release) -> Mapping[str, ComponentSettings]:
    path = folder.artifact_of(release.artifact) / "artifact.json"
    try:
        return Artifact.model_validate_json(path.read_bytes()).components
    except (OSError, ValidationError) as broken:
        why = str(broken).splitlines()[0]
        raise PlatformTrouble(
            f"what was built of {release.version} cannot be read ({why}): build it again from {release.revision}"
        ) from broken


def _unclaimed_port(state: Path, preferred: int) -> int:
    """A port nobody listens on and no other environment was promised."""
    claimed = {wanted.port for folder in environment_folders(state) if (wanted := _readable(folder)) is not None}
    port = preferred
    while (port := free_port(port)) in claimed:
        port += 1
    return port


def _readable(folder: EnvironmentFolder) -> Wanted | None:
    with suppress(PlatformTrouble):
        return folder.read_wanted()
    return None


def _as_it_is(observed: Observed) -> Observed:
    """What a supervisor that is gone wrote down may be long past, for instance after the machine was off."""
    if _is_alive(observed.supervisor):
        return observed
    gone = {"is_ready": False, "note": "not running, since the platform does not run"}
    instances = tuple(each if _is_alive(each) else each.model_copy(update=gone) for each in observed.instances)
    return observed.model_copy(update={"instances": instances})


def _is_alive(process: ObservedProcess) -> bool:
    return bool(process.birth) and birth_of(process.pid) == process.birth


def _url(wanted: Wanted) -> str:
    return f"http://127.0.0.1:{wanted.port}"
