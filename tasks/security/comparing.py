"""The base revision beside the head: its findings are the known ones.

The base is where the two lines of commits met, so that what others have done since is nobody's fault here. It is
scanned with the head's settings, or recalled where the same inputs were scanned before.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.histories import HistoryRefused, meeting_point
from tasks.adapters.snapshots import TargetRefused
from tasks.core.security.results import ScanResult
from tasks.preparing import checkout
from tasks.retrying import BadInput
from tasks.security.bench import Bench
from tasks.security.planning import plan_security
from tasks.security.request import SecurityRequest
from tasks.security.scan_fan_out import run_scans
from tasks.workplace import Workplace


@dataclass(frozen=True)
class Base:
    """The revision that is compared with; `place` is None where nothing was asked for."""

    commit: str = ""
    place: Workplace | None = None


@task(name="base", cache_policy=NO_CACHE)
async def open_base(held: AsyncExitStack, place: Workplace, request: SecurityRequest) -> Base:
    """The base's snapshot, kept until `held` is closed. Raises BadInput, TemporaryError."""
    if request.base is None:
        return Base()
    try:
        commit = await meeting_point(request.target, request.base, place.snapshot.revision, state=place.state)
    except (HistoryRefused, TargetRefused) as refused:
        raise BadInput(f"--base {request.base}: {refused}") from refused
    snapshot = await checkout(held, request.target, commit, place.state)
    base = Workplace(
        snapshot=snapshot,
        settings=place.settings,
        state=place.state,
        folder=place.folder / "base",
        run_id=place.run_id,
        started=place.started,
        overrides=place.overrides,
    )
    base.turns, base.places_in_line = place.turns, place.places_in_line
    return Base(commit, base)


async def scan_base(base: Base, request: SecurityRequest) -> tuple[ScanResult, ...] | None:
    """What the scanners say of the base, without its history; None where there is none."""
    if base.place is None:
        return None
    asked = request.at(base.commit)
    plan = await plan_security(base.place, asked, reads_history=False)
    return await run_scans(plan, Bench(base.place, asked), prefix="base: ")
