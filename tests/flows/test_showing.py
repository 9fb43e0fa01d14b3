"""Runs that come from a forge are shown there: going on, ended, or dead; and a forge that is away changes nothing."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType

from deployments.burying import conclude_shown
from flows.ci import ci
from flows.security import security
from tasks.adapters.shown_runs import ShownRun, remember_shown
from tasks.core.origin import Origin
from tests.adapters.listening_server import hearing
from tests.adapters.real_git import git
from tests.e2e.own_scanners import make_scanned, sarif
from tests.flows.conftest import Target
from tests.lab.hub import OWNER, REPOSITORY, Fault, Hub, hub

pytestmark = [
    pytest.mark.network,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
ORIGIN = Origin(repository=f"{OWNER}/{REPOSITORY}", commit="c0ffee" + "0" * 34, is_trusted=True)


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub() as found:
        monkeypatch.setenv("GITHUB_API_URL", found.address)
        monkeypatch.setenv("GITHUB_TOKEN", "not-a-token")
        yield found
    assert found.complaints == []


def shown(github: Hub) -> dict[str, tuple[str, str | None]]:
    return {run["name"]: (run["status"], run["conclusion"]) for run in github.check_runs}


async def test_each_check_is_shown(target: Target, github: Hub) -> None:
    """A run's check goes on from the beginning and ends with its verdict, and each check that ran is beside it."""
    target.configure({"good": ["true"], "bad": ["sh", "-c", "echo 'a.py:3:1: E1 wrong'; exit 1"]})
    ran = await target.run(ci, origin=ORIGIN)
    assert ran.state.type is StateType.FAILED
    assert shown(github) == {
        "towpath / ci (push)": ("completed", "failure"),
        "ci (push) / own/good": ("completed", "success"),
        "ci (push) / own/bad": ("completed", "failure"),
    }
    whole = next(run for run in github.check_runs if run["name"] == "towpath / ci (push)")
    assert whole["details_url"].endswith(str(ran.run_id))
    assert "own/bad" in whole["output"]["summary"]
    posted = [path for method, path in github.asked if method == "POST"]
    assert len(posted) == 3


async def test_a_run_that_cannot_begin_is_shown(target: Target, github: Hub) -> None:
    """Given a configuration that is refused, the run's check fails with that line."""
    target.write({"towpath.toml": "nonsense = true\n"})
    ran = await target.run(ci, origin=ORIGIN)
    assert ran.state.name == "Error"
    assert shown(github) == {"towpath / ci (push)": ("completed", "failure")}
    assert "nonsense" in github.check_runs[0]["output"]["title"]


async def test_a_forge_that_refuses_changes_no_verdict(target: Target, github: Hub, tmp_path: Path) -> None:
    """Given a token that is not valid, the run passes as it would, and nothing is left to be concluded."""
    target.configure({"good": ["true"]})
    github.faults += [Fault(method="GET", ending="/check-runs", status=401)] * 3
    ran = await target.run(ci, origin=ORIGIN)
    assert ran.state.type is StateType.COMPLETED
    assert github.check_runs == []
    assert list((tmp_path / "home" / "shown").glob("*")) == []


async def test_without_a_token_nothing_is_asked(target: Target, github: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token the run passes as it would, and the forge hears nothing."""
    monkeypatch.delenv("GITHUB_TOKEN")
    target.configure({"good": ["true"]})
    ran = await target.run(ci, origin=ORIGIN)
    assert ran.state.type is StateType.COMPLETED
    assert github.asked == []


async def test_a_run_that_is_cancelled_is_shown(target: Target, github: Hub, tmp_path: Path) -> None:
    """A run that is cancelled half-way is shown as cancelled."""
    mark = tmp_path / "began"
    target.configure({"slow": ["sh", "-c", f"touch '{mark}'; sleep 600"]})
    run = asyncio.create_task(target.run(ci, origin=ORIGIN))
    while not mark.exists():
        await asyncio.sleep(0.05)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert shown(github) == {"towpath / ci (push)": ("completed", "cancelled")}


async def test_a_run_that_died_is_concluded(github: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was shown and whose process is gone fails once the forge can be reached; one just begun does not."""
    remember_shown(tmp_path, ShownRun("dead", "ci", "http://p/dead", ORIGIN))
    await conclude_shown(tmp_path)
    assert github.asked == []
    os.utime(tmp_path / "shown" / "dead.json", (0, 0))
    with monkeypatch.context() as without:
        without.delenv("GITHUB_TOKEN")
        await conclude_shown(tmp_path)
    github.faults += [Fault(method="GET", ending="/check-runs", status=403, headers={"retry-after": "3600"})]
    await conclude_shown(tmp_path)
    assert github.check_runs == []
    await conclude_shown(tmp_path)
    assert shown(github) == {"towpath / ci (push)": ("completed", "failure")}
    asked = len(github.asked)
    await conclude_shown(tmp_path)
    assert len(github.asked) == asked


async def test_a_red_default_branch_is_told(target: Target, github: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A red run of the default branch is told once for its commit; one of another branch, and a green one, are not."""
    default = ORIGIN.model_copy(update={"is_default_branch": True})
    with hearing() as told:
        monkeypatch.setenv("TOWPATH_NOTIFY_URL", told.url)
        target.configure({"bad": ["false"]})
        for origin in (ORIGIN, default, default):
            await target.run(ci, origin=origin)
        target.configure({"good": ["true"]})
        await target.run(ci, origin=default)
    (body,) = told.bodies
    assert "ci of target at c0ffee000000: failed" in str(body["text"])


async def test_what_the_forge_did_not_hear_is_told_later(target: Target, github: Hub, tmp_path: Path) -> None:
    """Given a forge that is away for an hour at the end of a run, its verdict is kept and shown when it is back."""
    limit = Fault(method="GET", ending="/check-runs", status=403, headers={"retry-after": "3600"})
    target.configure({"good": ["true"]})
    github.faults += [limit, limit]
    ran = await target.run(ci, origin=ORIGIN)
    assert ran.state.type is StateType.COMPLETED
    assert shown(github) == {}
    (kept,) = (tmp_path / "home" / "shown").glob("*.json")
    os.utime(kept, (0, 0))
    await conclude_shown(tmp_path / "home")
    assert shown(github) == {"towpath / ci (push)": ("completed", "success")}
    assert not kept.exists()


async def test_one_check_that_is_refused_keeps_no_other(target: Target, github: Hub) -> None:
    """Given a check that the forge will not have, the others and the run's own are shown all the same."""
    target.configure({"good": ["true"], "bad": ["false"]})
    fine = Fault(method="POST", ending="/check-runs", is_done=True, status=422)
    github.faults.append(fine)
    ran = await target.run(ci, origin=ORIGIN)
    assert ran.state.type is StateType.FAILED
    assert shown(github)["towpath / ci (push)"] == ("completed", "failure")
    assert len(github.check_runs) == 3


async def test_findings_go_where_the_run_comes_from(github: Hub, target: Target, tmp_path: Path) -> None:
    """A pull request's findings are uploaded to its own head, though its configuration names another repository."""
    elsewhere = 'upload = true\nrepository = "mallory/loot"\n'
    place = make_scanned(tmp_path / "own", {"own": f"echo '{sarif('a flaw')}'"}, more=f"[security.github]\n{elsewhere}")
    commit = git(place, "rev-parse", "HEAD")
    origin = Origin(repository=ORIGIN.repository, commit=commit, pull_request=7, base="main", is_trusted=True)
    ran = await target.run(security, target=str(place), origin=origin)
    assert ran.state.type is StateType.COMPLETED
    (upload,) = github.sarifs
    assert (upload["ref"], upload["commit_sha"]) == ("refs/pull/7/head", commit)
    assert {path.split("/")[2] for _, path in github.asked} == {OWNER}
    assert shown(github)["towpath / security"] == ("completed", "success")
