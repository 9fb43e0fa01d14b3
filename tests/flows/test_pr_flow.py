"""The flow of a pull request on a real Prefect server, over real repositories."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import StateType

from flows.pr_checks import pr_checks
from tasks.core.origin import Origin
from tasks.core.outcome import Verdict
from tasks.core.pull_requests.plan import CHECKS
from tasks.core.pull_requests.report import PullRequestReport
from tasks.core.tiers import tier_of
from tests.adapters.real_git import git
from tests.flows.conftest import Ran, Target

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
NO_COVERAGE = '[pull_requests.disabled]\ncoverage = "not asked here"\n'
COBERTURA = """<coverage><sources><source>/h/slot-0/tree</source></sources>
<class filename="a.py"><lines>{}</lines></class></coverage>"""


def commit(target: Target, files: dict[str, str], message: str = "change") -> str:
    target.write(files)
    git(target.folder, "add", "--all")
    git(target.folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(target.folder, "rev-parse", "HEAD")


def branch(target: Target, base: dict[str, str], head: dict[str, str], message: str = "feat: add more") -> str:
    """A base with these files, and one commit on a branch of its own; the head's hash."""
    commit(target, base)
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    return commit(target, head, message)


async def look(target: Target, **arguments: Any) -> tuple[Ran, PullRequestReport]:
    ran = await target.run(pr_checks, base=arguments.pop("base", "main"), **arguments)
    report = ran.report
    assert isinstance(report, PullRequestReport)
    return ran, report


def verdicts(report: PullRequestReport) -> dict[str, Verdict]:
    return {check.id.rpartition("/")[2]: check.verdict for check in report.checks}


async def test_a_good_pull_request_passes(target: Target) -> None:
    """Every check of the plan is in the report, with labels, files and what a publisher needs, and the run is green."""
    labeler = "docs:\n- changed-files:\n  - any-glob-to-any-file: 'docs/**'\ncode:\n- changed-files: ['*.py']\n"
    base = {"towpath.toml": NO_COVERAGE, ".github/labeler.yml": labeler, "CODEOWNERS": "* @all\n"}
    head = branch(target, base, {"docs/ä b.md": "x\n"}, "docs: größer 文書")
    ran, report = await look(target)

    assert ran.state.type is StateType.COMPLETED
    assert tuple(check.id for check in report.checks) == CHECKS
    assert (report.revision, report.title, report.base_branch) == (head, "docs: größer 文書", "main")
    assert report.labels == ("docs", "size/XS")
    assert set(report.label_pool) == {"docs", "code", *(f"size/{size}" for size in ("XS", "S", "M", "L", "XL"))}
    assert ran.check("pull-request/files").suites["owners"] == "@all"
    written = json.loads(Path(report.folder, "report.json").read_text())
    assert PullRequestReport.model_validate(written) == report
    assert 'classname="pull-request" name="title"' in Path(report.folder, "junit.xml").read_text()
    assert "| ✅ | pull-request/title | docs: größer 文書 |" in Path(report.folder, "report.md").read_text()


async def test_the_bases_gates_decide(target: Target) -> None:
    """A pull request that switches its own gates off is judged by the base's, and the report says that it tried."""
    loose = '[pull_requests.title]\npattern = "."\n[pull_requests.disabled]\ntitle = "mine"\nsize = "mine"\n'
    branch(target, {"towpath.toml": NO_COVERAGE}, {"towpath.toml": loose}, "anything")
    ran, report = await look(target)

    assert ran.state.type is StateType.FAILED
    assert verdicts(report)["title"] is Verdict.FAILED
    assert verdicts(report)["size"] is Verdict.PASSED
    assert "the pull request changes towpath.toml: what main says there decided this run" in report.notes


async def test_a_broken_configuration_in_the_pull_request_does_no_harm(target: Target) -> None:
    """What the pull request writes into towpath.toml is not even read; a broken one on the base is refused."""
    branch(target, {"towpath.toml": NO_COVERAGE}, {"towpath.toml": "[[["})
    _, report = await look(target)
    assert report.verdict is Verdict.PASSED

    ran = await target.run(pr_checks, base="topic", ref="main")
    assert ran.state.name == "Error"
    assert "towpath.toml is not valid TOML" in (ran.state.message or "")


async def test_what_blocks_says_where_and_how_to_fix_it(target: Target) -> None:
    """Conflicts, complexity and the title each fail with places and a remedy, and the command's page shows them."""
    branches = "".join(f"    if x == {number}:\n        return {number}\n" for number in range(20))
    branch(target, {"towpath.toml": NO_COVERAGE, "a.py": "x = 1\n"}, {"a.py": f"def f(x):\n{branches}\n"}, "Add f")
    git(target.folder, "checkout", "--quiet", "main")
    commit(target, {"a.py": "x = 2\n"}, "feat: other")
    ran, report = await look(target, ref="topic")

    assert verdicts(report)["conflicts"] is Verdict.FAILED
    assert "feat: other" in ran.check("pull-request/conflicts").reason
    (place,) = ran.check("pull-request/complexity").problems
    assert (place.path, place.line) == ("a.py", 1)
    assert all(check.remedy for check in report.checks if check.verdict.blocks)
    assert "feat: add f" in Path(report.folder, "report.md").read_text()
    states = await ran.task_states(6)
    assert states["pull-request/conflicts"] == "Failed"


def record_ci(home: Path, target: Target, revision: str, covered: int) -> None:
    """What `towpath ci` leaves of a commit, as far as coverage is concerned."""
    folder = home / "reports" / f"20260101-000000-target-{revision[:8]}"
    lines = "".join(f'<line number="{number}" hits="{int(number <= covered)}"/>' for number in range(1, 11))
    (folder / "files" / "backend-pytest").mkdir(parents=True)
    (folder / "files" / "backend-pytest" / "coverage.xml").write_text(COBERTURA.format(lines))
    facts = {"flow": "ci", "name": target.folder.name, "revision": revision, "dirty": False, "verdict": "passed"}
    (folder / "report.json").write_text(json.dumps({**facts, "reason": "", "started": "2026-01-01T00:00:00+00:00"}))


async def test_coverage_comes_from_the_recorded_runs(target: Target, tmp_path: Path) -> None:
    """Without a run of CI coverage is an error that says how to get it; with those of base and head it is judged."""
    start = commit(target, {"a.py": "x = 1\n" * 5})
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    head = commit(target, {"a.py": "x = 1\n" * 10}, "feat: more")
    ran, _ = await look(target)
    assert ran.state.name == "Error"
    assert ran.check("pull-request/coverage").remedy == f"towpath ci {target.folder} --ref {head}"

    record_ci(tmp_path / "home", target, head, covered=7)
    ran, _ = await look(target)
    assert ran.check("pull-request/coverage").remedy == f"towpath ci {target.folder} --ref {start}"

    record_ci(tmp_path / "home", target, start, covered=7)
    ran, report = await look(target)
    check = ran.check("pull-request/coverage")
    assert (check.verdict, check.measures["percent"]) == (Verdict.FAILED, 70.0)
    assert check.reason == "40.0 % of 5 changed lines is below 70 %"
    assert [(place.path, place.line) for place in check.problems] == [("a.py", 8)]
    assert report.verdict is Verdict.FAILED


async def test_coverage_waits_for_the_run_that_began_with_it(target: Target, tmp_path: Path) -> None:
    """Checks that a delivery began wait for the CI run of their head, and then judge what it measured."""
    start = commit(target, {"a.py": "x = 1\n" * 5})
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    head = commit(target, {"a.py": "x = 1\n" * 10}, "feat: more")
    record_ci(tmp_path / "home", target, start, covered=9)
    origin = Origin(repository="o/r", commit=head, pull_request=7, base="main", is_trusted=True)
    looking = asyncio.create_task(look(target, origin=origin))
    while not list((tmp_path / "home" / "live").glob("*")):
        await asyncio.sleep(0.05)
    record_ci(tmp_path / "home", target, head, covered=9)
    ran, _ = await looking

    assert ran.check("pull-request/coverage").verdict is Verdict.PASSED


async def test_a_base_is_measured_by_trusted_runs(target: Target, tmp_path: Path) -> None:
    """What a stranger's run has recorded of the base, in a home of its own, is not believed."""
    start = commit(target, {"a.py": "x = 1\n" * 5})
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    head = commit(target, {"a.py": "x = 1\n" * 10}, "feat: more")
    origin = Origin(repository="o/r", commit=head, pull_request=7, base="main", is_trusted=False)
    for revision in (start, head):
        record_ci(tmp_path / "home" / "untrusted" / tier_of(origin), target, revision, covered=9)
    ran, _ = await look(target, origin=origin)
    assert "no coverage of the base" in ran.check("pull-request/coverage").reason

    record_ci(tmp_path / "home", target, start, covered=10)
    ran, _ = await look(target, origin=origin)
    assert "10.0 points less than the base's 100.0 %" in ran.check("pull-request/coverage").reason


async def test_new_code_that_no_test_reaches(target: Target, tmp_path: Path) -> None:
    """Given a new module that no report mentions, coverage fails and names it with the reason, though nothing fell."""
    project = {"pyproject.toml": '[project]\nname = "x"\nversion = "1"\n', "test_a.py": ""}
    start = commit(target, {**project, "a.py": "x = 1\n" * 5})
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    head = commit(target, {"new.py": "y = 2\n" * 9}, "feat: more")
    for revision in (start, head):
        record_ci(tmp_path / "home", target, revision, covered=10)
    ran, _ = await look(target)
    check = ran.check("pull-request/coverage")

    assert check.verdict is Verdict.FAILED
    assert "0.0 % of 9 changed lines is below 70 %" in check.reason
    assert "new.py (its tests do not reach it" in check.reason


async def test_an_empty_pull_request(target: Target) -> None:
    """A branch that is where its base is has nothing to look at, merges, and is small."""
    commit(target, {"towpath.toml": NO_COVERAGE})
    _, report = await look(target)

    assert report.verdict is Verdict.PASSED
    assert {name for name, verdict in verdicts(report).items() if verdict is Verdict.PASSED} == {
        "conflicts",
        "labels",
        "size",
    }


async def test_no_common_commit(target: Target) -> None:
    """After a force-push that left nothing in common, the conflict check is an error that says what to do."""
    commit(target, {"towpath.toml": NO_COVERAGE})
    git(target.folder, "checkout", "--quiet", "--orphan", "topic")
    commit(target, {"a.txt": "x\n"}, "feat: x")
    ran, report = await look(target)

    assert (ran.state.name, report.start) == ("Error", "")
    assert "no commit in common" in ran.check("pull-request/conflicts").reason


async def test_a_base_that_is_not_there(target: Target) -> None:
    """An unknown base is refused in one line before anything is looked at."""
    commit(target, {"a.txt": "x\n"})
    ran = await target.run(pr_checks, base="nowhere")

    assert ran.state.name == "Error"
    assert "--base nowhere names no commit" in (ran.state.message or "")
    assert "\n" not in (ran.state.message or "")


async def test_uncommitted_changes_are_told(target: Target) -> None:
    """What is in no commit is not looked at, and the report says so."""
    branch(target, {"towpath.toml": NO_COVERAGE}, {"a.txt": "x\n"})
    target.write({"b.txt": "b\n"})
    _, report = await look(target)

    assert any(note.startswith("1 uncommitted files") for note in report.notes)


async def test_labels_that_cannot_be_read_are_an_error(target: Target) -> None:
    """A labeler.yml that is not understood blocks, and takes no person's label away."""
    branch(target, {"towpath.toml": NO_COVERAGE, ".github/labeler.yml": "docs: ['docs/**']\n"}, {"a.txt": "x\n"})
    ran, report = await look(target)

    assert ran.check("pull-request/labels").verdict is Verdict.ERROR
    assert report.label_pool == tuple(f"size/{size}" for size in ("XS", "S", "M", "L", "XL"))
