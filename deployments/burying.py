"""Flow runs whose process died: their questions are withdrawn, and the Prefect server is told when it can be.

A run that stays Paused could still be approved in the UI, and nobody would hear it. The server may be gone at the very
moment, so what it must be told is kept until it was told, for an hour.
"""

import json
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tasks.adapters.approvals import all_pending, withdraw
from tasks.adapters.flow_runs import ServerBusy, ServerSilent, api_of, bury
from tasks.adapters.forges import forge_of
from tasks.adapters.live_runs import live_and_dead
from tasks.adapters.platforms.choosing import safekeeping_of
from tasks.adapters.shown_changes import dead_changes, forget_change
from tasks.adapters.shown_runs import ShownRun, dead_shown, forget_shown
from tasks.adapters.state import write_atomically
from tasks.core.forge.checks import stopped_check
from tasks.core.forge.words import Conclusion, ForgeCheck, ForgeLater, ForgeRefused, NoAccess
from tasks.core.intent import Intent

_KEPT_SECONDS = 3600.0


def _folder(state: Path) -> Path:
    return state / "keepers" / "to-bury"


def bury_later(state: Path, intent: Intent, why: str) -> None:
    """Have the server told that the run behind an intent is dead."""
    _keep(state, intent.run, intent.api_url, f"its change was undone by the guard: {why}")


def _keep(state: Path, run: str, api_url: str, message: str) -> None:
    told = {"api_url": api_url, "message": message, "at": time.time()}
    with suppress(OSError):
        write_atomically(_folder(state) / f"{run}.json", json.dumps(told))


async def bury_what_waits(state: Path) -> None:
    """Tell the server of every dead run it has not been told of yet."""
    for path in sorted(_folder(state).glob("*.json")):
        try:
            told = json.loads(path.read_bytes())
            if time.time() - told["at"] < _KEPT_SECONDS:
                await bury(told["api_url"] or api_of(state), path.stem, told["message"])
        except ServerBusy:
            continue
        except (ServerSilent, OSError, ValueError, KeyError, TypeError):
            pass  # It does not know the run, or nobody ever will: that is no reason to ask for ever.
        path.unlink(missing_ok=True)


async def conclude_shown(state: Path) -> None:
    """Tell the forge of every run it shows as going on whose process is gone; asked again until it has heard it."""
    for run in dead_shown(state, now=time.time()):
        check = _last_word(run)
        try:
            async with forge_of(run.origin) as forge:
                await forge.write_check(run.origin, check)
        except (ForgeLater, NoAccess):
            continue
        except ForgeRefused:
            pass  # It never will take it: that is no reason to ask for ever.
        forget_shown(state, run.run_id)


async def conclude_changes(state: Path) -> None:
    """Tell the forge of every deployment it shows as under way whose process is gone; asked until it has heard it."""
    async for change, ended in dead_changes(state, now=time.time()):
        try:
            async with forge_of(change.origin) as forge:
                await forge.write_deployment(change.origin, replace(change.deployment, state=ended))
        except (ForgeLater, NoAccess):
            continue
        except ForgeRefused:
            pass  # It never will take it: that is no reason to ask for ever.
        forget_change(state, change)


def _last_word(run: ShownRun) -> ForgeCheck:
    """What the run came to before the forge could hear of it, or that it died."""
    reason = run.reason or "the run's process died"
    check = stopped_check(run.flow, run.run_id, run.page, run.origin, reason=reason, is_cancelled=False)
    return replace(check, conclusion=Conclusion(run.ending)) if run.ending else check


async def withdraw_dead_questions(state: Path) -> None:
    """Questions whose run died without a change under way, which is what production asks before it begins."""
    live, _ = live_and_dead(state)
    for found in all_pending(state):
        run = found.pending.request.run
        if run not in live and not await safekeeping_of(found.ground).promise.is_there():
            withdraw(found.ground, run, outcome="the run that asked died")
            _keep(state, run, "", "the process that asked died")
