"""The checks of a pull request that only read: each gathers its facts and lets core decide."""

import asyncio
import time
from pathlib import Path

import yaml

from tasks.adapters.complexity import MEASURED, measure_functions
from tasks.adapters.git import GitError
from tasks.adapters.recorded_coverage import has_ended, recorded_coverage
from tasks.adapters.state import state_home
from tasks.core.outcome import Outcome, Verdict
from tasks.core.pull_requests.complexity import judge_complexity
from tasks.core.pull_requests.conflicts import judge_conflicts
from tasks.core.pull_requests.owners import OWNER_FILES, read_owners
from tasks.core.pull_requests.path_labels import LabelRules, LabelsRefused, labels_by_labeler, labels_by_table
from tasks.core.pull_requests.plan import COMPLEXITY, CONFLICTS, COVERAGE, FILES, LABELS, SIZE, TITLE
from tasks.core.pull_requests.sizes import judge_size, size_label, size_labels
from tasks.core.pull_requests.tested_lines import covers, judge_coverage
from tasks.core.pull_requests.titles import judge_title
from tasks.core.pull_requests.touched import judge_files
from tasks.core.pull_requests.unmeasured import should_be_measured
from tasks.core.results import CheckResult, result_of
from tasks.core.tools.contract import Unreadable
from tasks.planning import projects_of
from tasks.pull_requests.review import Review

_LABELERS = (".github/labeler.yml", ".github/labeler.yaml")
_LOOK_SECONDS = 2.0


async def look_at_title(review: Review) -> CheckResult:
    settings = review.settings.pull_requests.title
    return result_of(TITLE, judge_title(review.title, pattern=settings.pattern, types=settings.types))


async def try_merging(review: Review) -> CheckResult:
    try:
        conflicts = await review.pull.try_merge()
        culprits = await review.pull.commits_of_base([each.path for each in conflicts]) if conflicts else ()
    except (GitError, Unreadable) as failed:
        reason = f"the merge could not be tried: {failed}"
        return result_of(CONFLICTS, Outcome(Verdict.ERROR, reason, remedy="git 2.38 or newer is needed"), tool="git")
    return judge_conflicts(review.pull.change, conflicts, culprits, check_id=CONFLICTS)


async def measure_complexity(review: Review) -> CheckResult:
    """Of files that a person wrote, in languages that are measured."""
    files = {
        file.path: file
        for file in review.pull.change.files
        if file.path.endswith(MEASURED) and not (file.is_generated or file.is_vendored)
    }
    if not files:
        return result_of(COMPLEXITY, Outcome(Verdict.SKIPPED, "no Python, TypeScript or JavaScript file changed"))
    try:
        blobs = await review.pull.blobs(files)
    except GitError as failed:
        return result_of(COMPLEXITY, Outcome(Verdict.ERROR, f"the files could not be read: {failed}"), tool="lizard")
    head = [function for path, each in blobs.items() for function in measure_functions(path, each.head)]
    base = [function for path, each in blobs.items() for function in measure_functions(path, each.base)]
    return judge_complexity(head, base, review.settings.pull_requests.complexity, check_id=COMPLEXITY)


async def choose_labels(review: Review) -> CheckResult:
    """The labels it should have; `review.labels` holds them and all that Towpath may set."""
    change, settings = review.pull.change, review.settings.pull_requests
    sizes = LabelRules((size_label(change, settings.size),), size_labels(settings.size))
    place, text = await review.pull.base_file(*_LABELERS)
    try:
        rules = labels_by_labeler(change, yaml.safe_load(text)) if place else labels_by_table(change, settings.labels)
    except (LabelsRefused, yaml.YAMLError) as refused:
        review.labels = sizes
        reason = " ".join(str(refused).split())
        return result_of(LABELS, Outcome(Verdict.ERROR, f"{place}: {reason}", remedy=f"correct {place} on the base"))
    review.labels = LabelRules((*rules.wanted, *sizes.wanted), (*rules.pool, *sizes.pool))
    by = place or ("towpath.toml" if settings.labels else "size alone, since no rules are configured")
    return result_of(LABELS, Outcome(Verdict.PASSED, f"{', '.join(review.labels.wanted)} (by {by})"))


async def measure_size(review: Review) -> CheckResult:
    return judge_size(review.pull.change, review.settings.pull_requests.size, check_id=SIZE)


async def compare_coverage(review: Review) -> CheckResult:
    """What CI measured of the head, and of the base by a run that no stranger's change could have written."""
    change, place, settings = review.pull.change, review.place, review.settings.pull_requests.coverage
    name = place.target
    if review.request.origin and covers(change):
        await _until_measured(place.state, name, change.head, most_seconds=settings.wait_seconds)
    head = recorded_coverage(place.state, name=name, commits=(change.head,))
    commits = tuple(dict.fromkeys((change.start or change.base, change.base)))
    base = recorded_coverage(state_home(), name=name, commits=commits)
    projects = projects_of(place.snapshot, place.settings)
    return judge_coverage(
        change,
        head,
        base,
        settings,
        target=place.snapshot.source,
        check_id=COVERAGE,
        expected=should_be_measured(change, projects, place.snapshot.files, settings.exclude),
    )


async def _until_measured(state: Path, name: str, commit: str, *, most_seconds: float) -> None:
    """A delivery of a forge begins CI together with these checks, which therefore wait for it."""
    deadline = time.monotonic() + most_seconds
    while not has_ended(state, name=name, commit=commit) and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_SECONDS)


async def look_at_files(review: Review) -> CheckResult:
    _, text = await review.pull.base_file(*OWNER_FILES)
    return judge_files(review.pull.change, read_owners(text), review.settings.pull_requests.files, check_id=FILES)
