"""What a security run leaves behind: report, SARIF, bills of materials, the artifact, and GitHub's Security tab."""

from pathlib import Path
from typing import cast

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote

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
    # NOTE: not at the top: it takes a third of a second, and most runs upload nothing.
    from tasks.security.uploading import upload_to_tab

    return (f"GitHub's Security tab: {await upload_to_tab(parts, place, origin)}",)
