"""Security every night: each target that was asked for, its whole history, and what runs in each environment.

Promises: every target is scanned whatever became of the one before it, and the run is red when one of them is.
"""

from pathlib import Path
from typing import Any, cast

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.security import security
from tasks.adapters.daily_targets import daily_targets
from tasks.adapters.state import state_home
from tasks.request import MayLack

_NOBODY = "no target is scanned daily: towpath security TARGET --daily adds one"


@flow(name="security-daily", persist_result=False)
async def security_daily(
    targets: list[str] = [],  # noqa: B006  (Prefect copies defaults, and the form needs a list)
    may_lack: list[MayLack] = [],  # noqa: B006
) -> State[Any]:
    """Scan targets and what runs of them, as a schedule does each night.

    Args:
        targets: folders or git URLs; empty means those added by towpath security TARGET --daily
        may_lack: skip, and say as not covered, the scans that need these where they are absent
    """
    chosen = targets or list(daily_targets(state_home()))
    ended = [(target, await _scan(target, may_lack)) for target in chosen]
    red = [f"{target}: {state.message or state.name}" for target, state in ended if not state.is_completed()]
    if red:
        return Failed(message="; ".join(red))
    return Completed(message=f"{len(ended)} targets scanned" if ended else _NOBODY)


async def _scan(target: str, may_lack: list[MayLack]) -> State[Any]:
    """A folder is taken at its commit, not with what somebody is just writing there."""
    ref = "HEAD" if Path(target).is_dir() else None
    run = security(target, ref=ref, may_lack=may_lack, watch_production=True, return_state=True)
    return cast("State[Any]", await cast("Any", run))
