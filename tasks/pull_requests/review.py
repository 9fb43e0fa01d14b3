"""The beginning of a run over a pull request: its facts from git, and the settings of its base.

The base's configuration decides, never the pull request's: a change that could loosen its own gates would have none.
"""

from contextlib import AsyncExitStack
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.git import GitError, git
from tasks.adapters.pull_requests import PullRequest, read_pull_request, repository_of, top_of
from tasks.adapters.snapshots import TargetRefused, origin_of
from tasks.core.plan import Plan
from tasks.core.pull_requests.path_labels import LabelRules
from tasks.core.pull_requests.plan import plan_checks, title_of
from tasks.core.pull_requests.report import BenchmarkFigure
from tasks.core.settings import Settings, SettingsRefused
from tasks.opening import keep_apart, open_run
from tasks.preparing import checkout
from tasks.pull_requests.request import PullRequestRequest
from tasks.retrying import BadInput
from tasks.ruling import base_of, decided_elsewhere, settings_of_base
from tasks.workplace import Workplace

_CONFIGURATION = ("towpath.toml", ".towpath/waivers.toml", ".github/labeler.yml", ".github/CODEOWNERS", "CODEOWNERS")


class Review:
    """What the checks of one pull request share; a plain object like Workplace, so that Prefect does not walk it.

    `labels` and `figures` are what checks find beside their verdicts.
    """

    def __init__(
        self, *, place: Workplace, pull: PullRequest, request: PullRequestRequest, notes: tuple[str, ...], target: str
    ) -> None:
        self.place = place
        self.pull = pull
        self.request = request
        self.notes = notes
        self.target = target
        self.title = title_of(request.title, pull.change)
        self.labels = LabelRules((), ())
        self.figures: tuple[BenchmarkFigure, ...] = ()

    @property
    def settings(self) -> Settings:
        return self.place.settings


async def open_review(held: AsyncExitStack, request: PullRequestRequest) -> Review:
    """Everything the checks need, given back when `held` is closed. Raises PermanentError, TemporaryError."""
    run = open_run(held, request.origin)
    try:
        target = await top_of(request.target)
        is_address = origin_of(target)[1]
    except TargetRefused as refused:
        raise BadInput(str(refused)) from refused
    snapshot = await checkout(held, target, request.ref or (None if is_address else "HEAD"), run.state)
    keep_apart(held, run, snapshot)
    pull = await read_facts(target, request, snapshot.revision, snapshot.branch or "", run.state)
    settings, _ = await settings_of_base(pull, request.overrides)
    place = Workplace(
        snapshot=snapshot,
        settings=settings,
        state=run.state,
        folder=run.folder(snapshot.name),
        run_id=run.run_id,
        tier=run.tier,
        started=run.started,
        overrides=request.overrides,
    )
    uncommitted = [] if is_address or request.ref else await _uncommitted(Path(target))
    notes = (*snapshot.notes, *await _changed_configuration(pull), *uncommitted)
    return Review(place=place, pull=pull, request=request, notes=notes, target=target)


@task(name="read pull request", cache_policy=NO_CACHE)
async def read_facts(target: str, request: PullRequestRequest, head: str, branch: str, state: Path) -> PullRequest:
    try:
        directory = await repository_of(target, state=state)
        return await read_pull_request(directory, base=request.base, head=head, head_branch=branch, target=target)
    except TargetRefused as refused:
        raise BadInput(str(refused)) from refused


async def _changed_configuration(pull: PullRequest) -> list[str]:
    touched = list(pull.change.touches(_CONFIGURATION))
    if pull.change.touches(["pyproject.toml"]):
        both = (await pull.blobs([file.path for file in pull.change.files if file.path == "pyproject.toml"])).values()
        touched += ["pyproject.toml"] if any("[tool.towpath" in each.base + each.head for each in both) else []
    return [decided_elsewhere(path, base_of(pull)) for path in touched]


async def _uncommitted(directory: Path) -> list[str]:
    try:
        told = await git("status", "--porcelain", "-z", directory=directory)
    except GitError:
        return []
    count = told.count(b"\0")
    return [f"{count} uncommitted files were not looked at: a pull request is made of commits"] if count else []


def plan_review(review: Review) -> Plan:
    """The checks, and why some are not made. Raises BadInput."""
    try:
        return plan_checks(review.pull.change, review.settings.pull_requests, title=review.title)
    except SettingsRefused as refused:
        raise BadInput(str(refused)) from refused
