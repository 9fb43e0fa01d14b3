"""The end of a run over a pull request: its report, and what it leaves on disk and in Prefect."""

from collections.abc import Iterable
from pathlib import Path

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE

from tasks.adapters.retention import forget_old_runs
from tasks.adapters.state import write_atomically
from tasks.concluding import facts_of
from tasks.core.plan import Plan
from tasks.core.pull_requests.page import pull_request_page
from tasks.core.pull_requests.report import PullRequestReport
from tasks.core.rendering import junit
from tasks.core.results import CheckResult, gate
from tasks.pull_requests.review import Review
from tasks.reporting import artifact_key, remember
from tasks.showing import Shown
from tasks.workplace import Workplace


def conclude_review(review: Review, plan: Plan, results: Iterable[CheckResult]) -> PullRequestReport:
    checks = tuple(results)
    decision, change, origin = gate(checks), review.pull.change, review.request.origin
    return PullRequestReport(
        **facts_of(review.place),
        verdict=decision.verdict,
        reason=decision.reason,
        notes=(*plan.notes, *review.notes),
        checks=checks,
        base=change.base,
        start=change.start,
        base_branch=change.base_branch,
        head_branch=change.head_branch,
        repository=origin.repository if origin else "",
        pull_request=origin.pull_request if origin else 0,
        title=review.title,
        labels=review.labels.wanted,
        label_pool=review.labels.pool,
        benchmarks=review.figures,
    )


def shown_of(report: PullRequestReport) -> Shown:
    """The one comment with the table, and the labels."""
    return Shown(comment=pull_request_page(report), labels=frozenset(report.labels), pool=frozenset(report.label_pool))


@task(name="report", cache_policy=NO_CACHE)
async def publish_review(report: PullRequestReport, place: Workplace) -> None:
    """Write the report's files and the artifact."""
    folder = Path(report.folder)
    write_atomically(folder / "report.json", report.model_dump_json(indent=2) + "\n")
    write_atomically(folder / "report.md", pull_request_page(report))
    write_atomically(folder / "junit.xml", junit(report))
    remember(report, place)
    forget_old_runs(place.state, kept=place.settings.run.kept_runs)
    await acreate_markdown_artifact(pull_request_page(report), key=artifact_key("pr-checks", place.snapshot.name))
