"""A pull request is held to the rules of its base: it cannot switch off its gates or excuse its own findings."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType

from flows.ci import ci
from flows.security import security
from tasks.core.origin import Origin
from tasks.core.security.report import SecurityReport
from tests.adapters.real_git import git
from tests.flows.conftest import Ran, Target

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
_SECRET = "ghp_" + "Zq8vT3mLp0XcR7nYb2KdW5sHj9FgA1eUtI4o"
_OFF = tuple(f"security.disabled.{name}=not asked here" for name in ("trivy-fs", "bandit", "gitleaks-history"))
_VEX = "all.openvex.json"


@pytest.fixture(autouse=True)
def _no_forge(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "TOWPATH_GITHUB_APP_ID"):
        monkeypatch.delenv(name, raising=False)


def commit(target: Target, files: dict[str, str]) -> Origin:
    target.write(files)
    git(target.folder, "add", "--all")
    git(target.folder, "commit", "--quiet", "--message", "change")
    head = git(target.folder, "rev-parse", "HEAD")
    return Origin(repository="towline/shop", commit=head, pull_request=7, base="main", is_trusted=True)


async def test_a_gate_that_the_head_takes_away_still_stands(target: Target) -> None:
    """A check that only the base configures runs over the head and blocks it; the report says whose word counted."""
    target.configure({"strict": ["sh", "-c", "! test -e forbidden"]})
    commit(target, {})
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    target.configure({"lax": ["true"]})
    origin = commit(target, {"forbidden": "x"})
    ran = await target.run(ci, origin=origin)
    assert ran.state.type is StateType.FAILED
    assert {check.id for check in ran.report.checks} == {"own/strict"}
    assert "the pull request changes towpath.toml: what main says there decided this run" in ran.report.notes
    by_itself = await target.run(ci)
    assert {check.id for check in by_itself.report.checks} == {"own/lax"}


async def test_a_base_that_is_broken_is_refused(target: Target) -> None:
    """A configuration of the base that cannot be used stops the run in one line; a broken one of the head does not."""
    target.configure({"fine": ["true"]})
    commit(target, {})
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    origin = commit(target, {"towpath.toml": "nonsense = true\n"})
    ran = await target.run(ci, origin=origin)
    assert ran.state.type is StateType.COMPLETED
    turned = origin.model_copy(update={"base": "topic"})
    refused = await target.run(ci, origin=turned)
    assert refused.state.name == "Error"
    assert str(refused.state.message).startswith("topic: ")


def excuses() -> dict[str, str]:
    """Every way in which a target may call a finding none."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    waiver = f'[[waivers]]\n{{}}\nowner = "me"\nreason = "mine"\nexpires = {tomorrow}\n'
    return {".towpath/waivers.toml": waiver, ".gitleaksignore": "key.txt:github-pat:1\n"}


async def scan(target: Target, origin: Origin | None) -> tuple[Ran, SecurityReport]:
    ran = await target.run(security, origin=origin, overrides=list(_OFF))
    report = ran.report
    assert isinstance(report, SecurityReport)
    return ran, report


async def test_a_pull_request_excuses_none_of_its_findings(target: Target, tmp_path: Path) -> None:
    """A waiver, a baseline and an ignore file count on the base, and not in the pull request that brings the secret."""
    commit(target, {"towpath.toml": 'name = "shop"\n'})
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    origin = commit(target, {"key.txt": f"token = {_SECRET}\n"})
    _, found = await scan(target, origin)
    (finding,) = found.findings
    given = excuses()
    others = [name for name in finding.names if name != finding.id]
    named = f"identity = {json.dumps(finding.id)}\naliases = {json.dumps(others)}"
    waiver = given[".towpath/waivers.toml"].format(named)
    excused = commit(target, {**given, ".towpath/waivers.toml": waiver})
    ran, report = await scan(target, excused)
    assert ran.state.type is StateType.FAILED
    assert [each.blocks for each in report.findings] == [True]
    changed = {note.split(":")[0] for note in report.notes if note.startswith("the pull request changes")}
    assert changed == {f"the pull request changes {name}" for name in given}

    git(target.folder, "checkout", "--quiet", "main")
    commit(target, {**given, ".towpath/waivers.toml": waiver})
    git(target.folder, "checkout", "--quiet", "topic")
    git(target.folder, "merge", "--quiet", "--no-edit", "main")
    head = git(target.folder, "rev-parse", "HEAD")
    ran, report = await scan(target, origin.model_copy(update={"commit": head}))
    assert ran.state.type is StateType.COMPLETED, report.reason
    assert not any(each.blocks for each in report.findings)


async def test_a_statement_counts_as_the_base_has_it(target: Target) -> None:
    """A VEX document that the pull request brings is not read."""
    document = {"@context": "https://openvex.dev/ns/v0.2.0", "statements": "not even a list"}
    commit(target, {"towpath.toml": 'name = "shop"\n'})
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    origin = commit(target, {_VEX: json.dumps(document), "a.txt": "x\n"})
    ran, _ = await scan(target, origin)
    assert ran.state.type is StateType.COMPLETED
    refused = await target.run(security, overrides=list(_OFF))
    assert refused.state.name == "Error"
