"""What a security run leaves behind: report, SARIF, bills of materials, the artifact, and GitHub's Security tab."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote

from tasks.adapters.code_scanning import SecurityTab, UploadLater, UploadRefused, upload_sarif
from tasks.adapters.forges import forge_address
from tasks.adapters.retention import forget_old_results, forget_old_runs
from tasks.adapters.state import write_atomically
from tasks.core.origin import Origin
from tasks.core.outcome import Verdict
from tasks.core.rendering import junit
from tasks.core.security.page import security_page
from tasks.core.security.report import SecurityReport
from tasks.core.security.sarif_limits import split_sarif
from tasks.core.security.sightings import Category
from tasks.reporting import artifact_key, remember
from tasks.retrying import RETRIED, TemporaryError
from tasks.workplace import Workplace


async def publish_security(report: SecurityReport, place: Workplace, origin: Origin | None = None) -> SecurityReport:
    """Write everything, and hand it on; the report, with what became of that."""
    # NOTE: quoted, since Prefect would look for futures in each of a hundred thousand findings.
    return await _publish(cast("SecurityReport", quote(report)), place, origin)


@task(name="report", cache_policy=NO_CACHE)
async def _publish(report: SecurityReport, place: Workplace, origin: Origin | None) -> SecurityReport:
    folder = Path(report.folder)
    parts = split_sarif(report, scanned=scanned_categories(report))
    names = [f"findings{f'.{number}' if number > 1 else ''}.sarif" for number in range(1, len(parts.files) + 1)]
    for name, text in zip(names, parts.files, strict=True):
        write_atomically(folder / name, text)
    said = await _handed_on(report, parts.files, place, origin)
    bills = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.cdx.json"))
    told = report.model_copy(update={"files": (*names, *bills), "notes": (*report.notes, *parts.left_out, *said)})
    write_atomically(folder / "report.json", told.model_dump_json(indent=2) + "\n")
    write_atomically(folder / "report.md", security_page(told))
    write_atomically(folder / "junit.xml", junit(told))
    remember(told, place)
    forget_old_runs(place.state, kept=place.settings.run.kept_runs)
    forget_old_results(place.state)
    await acreate_markdown_artifact(security_page(told), key=artifact_key("security", place.snapshot.name))
    return told


def scanned_categories(report: SecurityReport) -> frozenset[Category]:
    """The categories that were scanned whole: only there is no result a result, by which GitHub closes its alerts."""
    verdicts: dict[str, set[Verdict]] = {}
    for check in report.checks:
        verdicts.setdefault(check.id.partition("/")[0], set()).add(check.verdict)
    whole = [name for name, found in verdicts.items() if Verdict.ERROR not in found and found != {Verdict.SKIPPED}]
    return frozenset(Category(name) for name in whole)


async def _handed_on(
    report: SecurityReport, parts: tuple[str, ...], place: Workplace, origin: Origin | None
) -> tuple[str, ...]:
    """Upload to the Security tab where that is wanted; a line that says what became of it."""
    settings = place.settings.security.github
    if not settings.upload:
        return ()
    tab = security_tab(place, origin, os.environ)
    if isinstance(tab, str):
        return (f"GitHub's Security tab: NOT UPLOADED: {tab}",)
    try:
        for part in parts:
            await upload_part(tab, part)
    except (UploadRefused, TemporaryError) as failed:
        return (f"GitHub's Security tab: NOT UPLOADED: {failed}",)
    return (f"GitHub's Security tab: {len(parts)} SARIF files processed, for {tab.ref} at {tab.commit[:12]}",)


def security_tab(place: Workplace, origin: Origin | None, base: Mapping[str, str]) -> SecurityTab | str:
    """Where the findings go, or why they cannot go anywhere.

    A run that comes from GitHub goes back where it came from, whatever its configuration names.
    """
    token, snapshot = base.get("GITHUB_TOKEN", ""), place.snapshot
    named = place.settings.security.github.repository or base.get("GITHUB_REPOSITORY", "")
    repository = origin.repository if origin else named
    if origin and origin.pull_request:
        ref = f"refs/pull/{origin.pull_request}/head"
    else:
        ref = f"refs/heads/{snapshot.branch}" if snapshot.branch else ""
    match (bool(token), bool(repository), snapshot.is_dirty, bool(ref)):
        case False, _, _, _:
            return "GITHUB_TOKEN is not set"
        case _, False, _, _:
            return "set security.github.repository to owner/name"
        case _, _, True, _:
            return "the work tree has changes that no commit has"
        case _, _, _, False:
            return "the revision is on no branch"
    return SecurityTab(api=forge_address(base), repository=repository, commit=snapshot.revision, ref=ref, token=token)


@task(name="upload SARIF", cache_policy=NO_CACHE, **RETRIED)
async def upload_part(tab: SecurityTab, part: str) -> str:
    """Raises TemporaryError, which is tried again, and UploadRefused, which is not."""
    try:
        return await upload_sarif(tab, part, tool="Towpath")
    except UploadLater as later:
        raise TemporaryError(str(later)) from later
