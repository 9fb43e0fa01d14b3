"""What a run leaves behind: the report's files, the Prefect artifact, the history, Codecov."""

import os
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar, cast

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from tasks.adapters import codecov
from tasks.adapters.history import Entry, record
from tasks.adapters.retention import forget_old_results, forget_old_runs
from tasks.adapters.state import link_or_copy, write_atomically
from tasks.core.rendering import junit, markdown
from tasks.core.results import CheckResult, Report
from tasks.core.security.results import ScanResult
from tasks.core.tiers import TRUSTED
from tasks.retrying import RETRIED, TemporaryError
from tasks.workplace import Workplace


@task(name="report", cache_policy=NO_CACHE)
async def publish_report(report: Report, place: Workplace) -> None:
    """Write the report's files and the artifact, and remember how long each check took."""
    write_report(report)
    remember(report, place)
    forget_old_runs(place.state, kept=place.settings.run.kept_runs)
    forget_old_results(place.state)
    await acreate_markdown_artifact(markdown(report), key=artifact_key("ci", place.snapshot.name))


def artifact_key(flow: str, name: str) -> str:
    """In the letters Prefect allows for an artifact's key."""
    key = f"{flow}-{name}".lower()
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in key)


def write_report(report: Report) -> None:
    folder = Path(report.folder)
    write_atomically(folder / "report.json", report.model_dump_json(indent=2) + "\n")
    write_atomically(folder / "report.md", markdown(report))
    write_atomically(folder / "junit.xml", junit(report))


def remember(report: Report, place: Workplace) -> None:
    now = time.time()
    ran = [check for check in report.checks if not check.cached and check.seconds]
    entries = [Entry(check.id, place.keys.get(check.id, ""), check.verdict, check.seconds, now) for check in ran]
    record(place.state / "history.sqlite", place.snapshot.source, entries)


_Kept = TypeVar("_Kept", CheckResult, ScanResult)


def keep_files(result: _Kept, place: Workplace) -> _Kept:
    """A cached result's log and report files, given a name in this run's folder too."""
    if not result.log:
        return result
    old = Path(result.log)
    new = place.log_of(result.id)
    if not old.exists():
        return result.model_copy(update={"log": ""})
    if old != new:
        link_or_copy(old, new)
        link_or_copy(old.parent.parent / "files" / old.stem, place.folder / "files" / new.stem)
        return result.model_copy(update={"log": str(new)})
    return result


@task(name="codecov", cache_policy=NO_CACHE, **RETRIED)
async def upload_coverage(place: Workplace) -> str:
    """Send the coverage reports; the answer says what became of it. Raises TemporaryError when it did not arrive."""
    token, settings = os.environ.get("CODECOV_TOKEN", ""), place.settings.codecov
    if place.tier != TRUSTED:
        return "skipped: a stranger's run is given no token"
    if not settings.enabled or not token:
        return f"skipped: {'switched off in the configuration' if token else 'CODECOV_TOKEN is not set'}"
    files = sorted((place.folder / "files").glob("*/coverage.xml"))
    upload = codecov.Upload(
        files=tuple(files),
        revision=place.snapshot.revision,
        flags=settings.flags,
        token=token,
        directory=place.snapshot.tree,
        log=place.log_of("codecov"),
    )
    if trouble := await codecov.upload(upload, state=place.state):
        raise TemporaryError(trouble)
    return f"{len(files)} reports uploaded"


async def offer_coverage(place: Workplace) -> str:
    """Upload coverage where a token is given, and say so; a failed upload is told and blocks nothing."""
    state = await cast("Awaitable[State[Any]]", upload_coverage(place, return_state=True))
    said = await state.aresult(raise_on_failure=False)
    return f"codecov: {said}" if isinstance(said, str) else f"codecov: not uploaded: {said}"
