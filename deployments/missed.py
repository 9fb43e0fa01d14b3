"""Scheduled runs that nobody took up: a worker that is gone is silent, and so is the scan that should have been.

The server marks a run as late by itself; people are told of each once, when it has been late for a while.
"""

from datetime import datetime, timedelta
from pathlib import Path

from tasks.adapters.flow_runs import LateRun, ServerSilent, api_of, late_runs
from tasks.adapters.outbox import post
from tasks.core.notices import Event, Notice, NotificationSettings

_LATE = timedelta(minutes=10)


async def tell_missed(state: Path, *, now: datetime, settings: NotificationSettings | None = None) -> None:
    """A server that is silent has no schedule to miss: `towpath status` says that it does not run."""
    try:
        late = await late_runs(api_of(state), before=now - _LATE)
    except ServerSilent:
        return
    for run in late:
        await post(state, _notice(run), settings or NotificationSettings())


def _notice(run: LateRun) -> Notice:
    due = f"{run.due:%Y-%m-%d %H:%M} UTC"
    return Notice(
        event=Event.SCHEDULE_MISSED,
        target=run.name,
        text=f"{run.name} was due at {due} and no worker has taken it up: towpath up starts one",
        about=run.id,
        run=run.id,
    )
