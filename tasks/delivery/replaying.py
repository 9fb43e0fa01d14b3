"""Past canaries judged again by other rules: the backtest of a canary policy.

A rule that is tried stands in the place of the same rule of each canary; all its other rules stay as they were, so that
what comes out differently comes of that rule alone.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE

from tasks.adapters.canary_logs import logs_of, read_log
from tasks.adapters.grounds import Ground, NameRefused
from tasks.adapters.state import write_atomically
from tasks.core.backtest import Backtest, replay, replay_page
from tasks.core.canary_settings import CanarySettings
from tasks.core.settings import SettingsRefused, read_settings
from tasks.opening import OpenRun
from tasks.retrying import BadInput
from tasks.watching import ReplayEnded, tell

_SECTION = "delivery.canary"


@task(name="rules", task_run_name="rules", cache_policy=NO_CACHE)
async def read_rules(overrides: tuple[str, ...]) -> tuple[str, ...]:
    """The canary settings to try, over each canary's own. Raises BadInput."""
    rules = tuple(f"{_SECTION}.{override}" for override in overrides)
    if nameless := [override for override in overrides if "=" not in override]:
        raise BadInput(f"{nameless[0]} is no rule: say it as judge.alpha=0.01")
    return rules


def _with_rules(own: CanarySettings, rules: tuple[str, ...]) -> CanarySettings:
    """A canary's own settings, and those that are tried in their place."""
    try:
        return read_settings({}, [*_leaves(own.model_dump(mode="json"), _SECTION), *rules]).delivery.canary
    except SettingsRefused as refused:
        raise BadInput(str(refused)) from refused


def _leaves(table: Mapping[str, Any], above: str) -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}.{name}")
        elif value is not None:
            yield f"{above}.{name}={json.dumps(value)}"


@task(name="judge again", task_run_name="judge again", cache_policy=NO_CACHE)
async def judge_again(run: OpenRun, target: str, environment: str, rules: tuple[str, ...], newest: int) -> Backtest:
    """Each recorded canary, oldest first, and how many could not be read. Raises BadInput when there is none."""
    try:
        ground = Ground(run.state, target, environment)
    except NameRefused as refused:
        raise BadInput(str(refused)) from refused
    folders = logs_of(ground)[-newest:]
    found = [log for folder in folders if (log := read_log(folder)) is not None]
    if not found:
        raise BadInput(f"{target} has no recorded canary in {environment}: towpath canary TARGET makes one")
    replayed = tuple(replay(head, snapshots, _with_rules(head.settings, rules)) for head, snapshots in found)
    return Backtest(replayed, unreadable=len(folders) - len(found))


@task(name="report", task_run_name="report", cache_policy=NO_CACHE)
async def publish_replay(
    run: OpenRun, target: str, environment: str, backtest: Backtest, overrides: tuple[str, ...]
) -> None:
    rules = ", ".join(overrides) if overrides else "the rules each ran with"
    page = replay_page(backtest, environment=environment, rules=rules)
    write_atomically(run.folder(f"{target}-replay") / "report.md", page)
    tell(ReplayEnded(page))
    await acreate_markdown_artifact(page, key=f"replay-{environment}".lower().replace("_", "-").replace(".", "-"))
