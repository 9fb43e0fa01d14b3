"""The steps before any check: the snapshot, the plan, the environments."""

from contextlib import AsyncExitStack
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from tasks.adapters.environments import Built, InstallFailed, build_environment
from tasks.adapters.history import remembered_seconds
from tasks.adapters.snapshots import Snapshot, TargetRefused, TemporaryFailure, open_snapshot
from tasks.core.environments import Environment
from tasks.core.plan import Plan
from tasks.core.settings import Settings, SettingsRefused
from tasks.planning import plan_snapshot, settings_of
from tasks.retrying import RETRIED, BadInput, PermanentError, TemporaryError
from tasks.watching import Preparing, tell
from tasks.workplace import Workplace


@task(name="checkout", cache_policy=NO_CACHE, **RETRIED)
async def checkout(held: AsyncExitStack, target: str, ref: str | None, state: Path) -> Snapshot:
    """The target's snapshot, kept from other runs until `held` is closed."""
    try:
        return await held.enter_async_context(open_snapshot(target, ref=ref, state=state))
    except TemporaryFailure as away:
        raise TemporaryError(str(away)) from away
    except TargetRefused as refused:
        raise BadInput(str(refused)) from refused


def configure(snapshot: Snapshot, overrides: tuple[str, ...]) -> Settings:
    """The target's settings. Raises BadInput in one line."""
    try:
        return settings_of(snapshot, overrides)
    except SettingsRefused as refused:
        raise BadInput(str(refused)) from refused


@task(name="plan", cache_policy=NO_CACHE)
async def plan_target(place: Workplace) -> Plan:
    """What to run over the target, heaviest first."""
    try:
        plan = plan_snapshot(place.snapshot, place.settings)
    except SettingsRefused as refused:
        raise BadInput(str(refused)) from refused
    known = remembered_seconds(place.state / "history.sqlite", place.snapshot.source)
    return plan.ordered(known)


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
    tell(Preparing(environment.id, built.seconds, built.is_reused))
    return built
