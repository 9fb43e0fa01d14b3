"""What runs in each environment, looked at again: a vulnerability may be published while no commit changes.

Its findings are told to people and noted in the report. They do not decide over the revision that was scanned: the
commit that mends production must not be held up by what it mends.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.grounds import Ground, known_grounds
from tasks.adapters.notifications import NotTold, tell_people
from tasks.adapters.platforms.choosing import safekeeping_of
from tasks.adapters.production_findings import keep_findings, known_findings
from tasks.core.outcome import Verdict
from tasks.core.platform import PlatformTrouble
from tasks.core.release import Release
from tasks.core.security.merging import Merged, merge
from tasks.core.security.results import ScanResult
from tasks.core.security.scan_plan import ScanPlan
from tasks.preparing import checkout
from tasks.retrying import RETRIED, PermanentError, TemporaryError
from tasks.security.bench import Bench
from tasks.security.planning import plan_security
from tasks.security.request import SecurityRequest
from tasks.security.scan_fan_out import run_scans
from tasks.workplace import Workplace

_TOLD_SECONDS = 10.0
_SHOWN = 5


@dataclass(frozen=True)
class Running:
    """A release that runs in an environment, and what the scanners say of it now."""

    ground: Ground
    release: Release
    results: tuple[ScanResult, ...]

    @property
    def findings(self) -> tuple[Merged, ...]:
        return merge(sighting for result in self.results for sighting in result.sightings)

    @property
    def broken(self) -> tuple[str, ...]:
        return tuple(f"{result.id}: {result.reason}" for result in self.results if result.verdict is Verdict.ERROR)


@task(name="look at what runs", cache_policy=NO_CACHE)
async def look_at_production(place: Workplace, request: SecurityRequest) -> tuple[str, ...]:
    """A line for each environment: what is new there, who was told, or why it could not be looked at."""
    if not request.watches_production:
        return ()
    name = place.target
    grounds = [ground for ground in known_grounds(place.state) if ground.target == name]
    if not grounds:
        return ("nothing runs in any environment of this home, so that nothing there was looked at",)
    return tuple([await _look(ground, place, request) for ground in grounds])


async def _look(ground: Ground, place: Workplace, request: SecurityRequest) -> str:
    try:
        record = await safekeeping_of(ground).current()
        if record is None:
            return f"{ground.environment}: nothing was released yet"
        results = await _scan_release(record.release, place, request)
    except (PermanentError, TemporaryError, PlatformTrouble) as refused:
        return f"{ground.environment}: COULD NOT BE LOOKED AT: {refused}"
    return await _compare(Running(ground, record.release, results), place)


async def _scan_release(release: Release, place: Workplace, request: SecurityRequest) -> tuple[ScanResult, ...]:
    """Dependencies and images of the released revision: what gets vulnerable without a change."""
    asked = request.at(release.revision)
    async with AsyncExitStack() as held:
        snapshot = await checkout(held, request.target, release.revision, place.state)
        there = Workplace(
            snapshot=snapshot,
            settings=place.settings,
            state=place.state,
            folder=place.folder / f"released-{release.version}",
            run_id=place.run_id,
            started=place.started,
        )
        there.turns, there.places_in_line = place.turns, place.places_in_line
        plan = await plan_security(there, asked, reads_history=False)
        chosen = tuple(scan for scan in plan.scans if scan.id.startswith(("dependency/", "container/")))
        return await run_scans(ScanPlan(chosen, plan.notes), Bench(there, asked), prefix=f"{release.version}: ")


async def _compare(running: Running, place: Workplace) -> str:
    ground, found = running.ground, {finding.id: finding for finding in running.findings}
    who = f"{ground.environment} ({running.release.version})"
    if running.broken:
        told = await _told(running, f"{who} could not be looked at: {running.broken[0]}", place)
        return f"{who}: COULD NOT BE LOOKED AT: {'; '.join(running.broken)}; {told}"
    known = known_findings(place.state, target=ground.target, environment=ground.environment)
    fresh = sorted(found.keys() - (known or frozenset()))
    if not fresh:
        return f"{who}: nothing new, {len(found)} findings known"
    names = ", ".join(fresh[:_SHOWN]) + (f" and {len(fresh) - _SHOWN} more" if len(fresh) > _SHOWN else "")
    told = await _told(running, f"{len(fresh)} findings are new against what runs in {who}: {names}", place)
    if not told.startswith("NOT TOLD"):
        keep_findings(place.state, found, target=ground.target, environment=ground.environment)
    return f"{who}: {len(fresh)} NEW: {names}; {told}"


async def _told(running: Running, message: str, place: Workplace) -> str:
    facts = {"target": running.ground.target, "environment": running.ground.environment, "run": place.run_id}
    try:
        return await tell(message, facts, place.settings.security.notify_variable)
    except TemporaryError as failed:
        return f"NOT TOLD: {failed}"


@task(name="tell people", cache_policy=NO_CACHE, **RETRIED)
async def tell(message: str, facts: dict[str, str], variable: str) -> str:
    """Raises TemporaryError where the address did not take it."""
    try:
        return await tell_people(message, facts, variable=variable, timeout_seconds=_TOLD_SECONDS)
    except NotTold as failed:
        raise TemporaryError(str(failed)) from failed
