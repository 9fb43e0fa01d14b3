"""The steps before any check: the snapshot, the plan, the environments."""

from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from tasks.adapters.environments import Built, InstallFailed, build_environment
from tasks.adapters.history import remembered_seconds
from tasks.adapters.snapshots import Snapshot, TargetRefused, TemporaryFailure, open_snapshot
from tasks.core.discovery import discover, wanted_texts
from tasks.core.environments import Environment
from tasks.core.plan import Plan
from tasks.core.planning import make_plan
from tasks.core.projects import Texts
from tasks.core.settings import Settings, SettingsRefused, read_settings
from tasks.retrying import RETRIED, PermanentError, TemporaryError
from tasks.watching import Preparing, tell
from tasks.workplace import Workplace

# No manifest a person wrote is longer; a lock file of a large monorepo may be.
_MANIFEST_BYTES = 32 * 1024 * 1024


@task(name="checkout", cache_policy=NO_CACHE, **RETRIED)
async def checkout(held: AsyncExitStack, target: str, ref: str | None, state: Path) -> Snapshot:
    """The target's snapshot, kept from other runs until `held` is closed."""
    try:
        return await held.enter_async_context(open_snapshot(target, ref=ref, state=state))
    except TemporaryFailure as away:
        raise TemporaryError(str(away)) from away
    except TargetRefused as refused:
        raise PermanentError(str(refused)) from refused


@task(name="plan", cache_policy=NO_CACHE)
async def plan_target(place: Workplace) -> Plan:
    """What to run over the target, heaviest first."""
    plan = plan_snapshot(place.snapshot, place.settings)
    known = remembered_seconds(place.state / "history.sqlite", place.snapshot.source)
    return plan.ordered(known)


def plan_snapshot(snapshot: Snapshot, settings: Settings) -> Plan:
    """The plan of a snapshot. Raises PermanentError where the configuration cannot be used."""
    texts = Texts(frozenset(snapshot.files), manifests_of(snapshot))
    try:
        plan = make_plan(discover(texts, settings.projects), settings)
    except SettingsRefused as refused:
        raise PermanentError(str(refused)) from refused
    return Plan(plan.environments, plan.checks, (*snapshot.notes, *plan.notes))


def settings_of(snapshot: Snapshot, overrides: tuple[str, ...]) -> Settings:
    """The target's configuration. Raises PermanentError in one line."""
    try:
        return read_settings(manifests_of(snapshot, ("towpath.toml", "pyproject.toml")), overrides)
    except SettingsRefused as refused:
        raise PermanentError(str(refused)) from refused


def manifests_of(snapshot: Snapshot, names: tuple[str, ...] | None = None) -> Mapping[str, str]:
    """The text of the files that planning reads."""
    wanted = wanted_texts(snapshot.files) if names is None else [name for name in names if name in snapshot.files]
    texts: dict[str, str] = {}
    for name in wanted:
        with suppress(OSError):
            path = snapshot.tree / name
            if path.stat().st_size <= _MANIFEST_BYTES:
                texts[name] = path.read_text("utf-8", "replace")
    return texts


@task(name="environment", task_run_name="{environment.id}", cache_policy=NO_CACHE, **RETRIED)
async def prepare_environment(environment: Environment, place: Workplace) -> Built:
    """An environment ready for use. A network that was away is tried again; any other trouble is final."""
    tell(Preparing(environment.id))
    log = place.log_of(f"environment-{environment.id}")
    timeout = place.settings.run.install_timeout_seconds
    try:
        built = await build_environment(environment, place.snapshot, log=log, timeout_seconds=timeout)
    except InstallFailed as failed:
        kind = TemporaryError if failed.trouble.is_temporary else PermanentError
        raise kind(f"{failed.trouble.reason}\n{failed.trouble.remedy}") from failed
    get_run_logger().info("%s in %.1f s: %s", "reused" if built.is_reused else "built", built.seconds, built.folder)
    tell(Preparing(environment.id, built.seconds))
    return built
