"""A pull request's life as GitHub sees it: opened with a fault, mended, green; one comment, labels that keep up."""

from collections.abc import Iterator

import pytest
from prefect.client.schemas.objects import StateType

from flows.pr_checks import pr_checks
from tasks.core.origin import Origin
from tests.adapters.real_git import git
from tests.flows.conftest import Target
from tests.lab.hub import OWNER, REPOSITORY, Hub, Who, hub

pytestmark = [
    pytest.mark.network,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
_CONFIGURATION = '[pull_requests.disabled]\ncoverage = "not asked here"\n'
_MARKERS = "<" * 7 + " ours\na = 1\n" + "=" * 7 + "\na = 2\n" + ">" * 7 + " theirs\n"


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub() as found:
        monkeypatch.setenv("GITHUB_API_URL", found.address)
        monkeypatch.setenv("GITHUB_TOKEN", "not-a-token")
        yield found
    assert found.complaints == []


def commit(target: Target, files: dict[str, str], message: str) -> Origin:
    target.write(files)
    git(target.folder, "add", "--all")
    git(target.folder, "commit", "--quiet", "--message", message)
    head = git(target.folder, "rev-parse", "HEAD")
    return Origin(repository=f"{OWNER}/{REPOSITORY}", commit=head, pull_request=7, base="main", is_trusted=True)


def conclusions(github: Hub, commit: str) -> dict[str, str | None]:
    return {run["name"]: run["conclusion"] for run in github.check_runs if run["head_sha"] == commit}


async def test_from_opened_to_green(target: Target, github: Hub) -> None:
    """The first head fails with its faults at their lines; the second is green, and the same comment says so."""
    labeler = "docs:\n- changed-files:\n  - any-glob-to-any-file: 'docs/**'\n"
    commit(target, {"towpath.toml": _CONFIGURATION, ".github/labeler.yml": labeler, "a.py": "a = 0\n"}, "chore: begin")
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    github.labels.append("keep me")

    opened = commit(target, {"docs/a.md": "x\n", "a.py": _MARKERS}, "whatever")
    first = await target.run(pr_checks, base="main", title="whatever", origin=opened)
    assert first.state.type is StateType.FAILED
    failed = conclusions(github, opened.commit)
    assert failed["towpath / pr_checks"] == "failure"
    assert failed["pr_checks / pull-request/title"] == "failure"
    marked = next(run for run in github.check_runs if "conflict" in run["name"])
    assert ("a.py", 1) in {(sent["path"], sent["start_line"]) for sent in github.annotations[marked["id"]]}
    assert set(github.labels) >= {"keep me", "docs"}
    (comment,) = github.comments
    assert "❌" in comment["body"]

    git(target.folder, "rm", "--quiet", "docs/a.md")
    mended = commit(target, {"a.py": "a = 2\n"}, "fix: mend it")
    second = await target.run(pr_checks, base="main", title="fix: mend it", origin=mended)
    assert second.state.type is StateType.COMPLETED, second.state.message
    green = conclusions(github, mended.commit)
    assert set(green.values()) <= {"success", "neutral"}
    assert green["towpath / pr_checks"] == "success"
    assert conclusions(github, opened.commit) == failed
    assert "keep me" in github.labels
    assert "docs" not in github.labels
    (comment,) = github.comments
    assert "❌" not in comment["body"]


async def test_somebody_elses_comment_is_not_touched(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment that only looks like ours stays as it is, and ours is beside it; without checks there are statuses."""
    with hub(Who.PERSON) as github:
        monkeypatch.setenv("GITHUB_API_URL", github.address)
        monkeypatch.setenv("GITHUB_TOKEN", "not-a-token")
        github.say("mallory", "<!-- towpath:pr -->\nall is well")
        commit(target, {"towpath.toml": _CONFIGURATION}, "chore: begin")
        git(target.folder, "checkout", "--quiet", "-b", "topic")
        origin = commit(target, {"a.py": "a = 1\n"}, "feat: more")
        await target.run(pr_checks, base="main", title="feat: more", origin=origin)
        assert [comment["user"]["login"] for comment in github.comments] == ["mallory", "ada"]
        assert github.comments[0]["body"].endswith("all is well")
        assert {status["context"]: status["state"] for status in github.statuses}["towpath / pr_checks"] == "success"
        assert github.complaints == []
