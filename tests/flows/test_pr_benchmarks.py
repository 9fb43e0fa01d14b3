"""The performance gate through the whole flow, with a real environment and real benchmarks."""

import shutil

import pytest

from flows.pr_checks import pr_checks
from tasks.core.origin import Origin
from tasks.core.outcome import Verdict
from tasks.core.pull_requests.perf_gate import Speed
from tasks.core.pull_requests.report import PullRequestReport
from tests.adapters.real_git import git
from tests.flows.conftest import Target

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.network,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
QUICK = ("pull_requests.benchmarks.pairs=6", "pull_requests.benchmarks.seconds_per_benchmark=0.02")
BASE = {
    "towpath.toml": '[pull_requests.disabled]\ncoverage = "not asked here"\n',
    "requirements.txt": "pytest==9.0.*\npytest-benchmark\n",
    "work.py": "def work():\n    return sum(number * number for number in range(2000))\n",
    "test_work.py": "from work import work\n\n\ndef test_speed(benchmark):\n    benchmark(work)\n",
}


async def test_what_became_slower_fails(target: Target) -> None:
    """Twice the work in the head fails with its figures; a change of prose runs no benchmark at all."""
    target.write(BASE)
    git(target.folder, "add", "--all")
    git(target.folder, "commit", "--quiet", "--message", "feat: base")
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    target.write({"notes.md": "x\n"})
    git(target.folder, "add", "--all")
    git(target.folder, "commit", "--quiet", "--message", "docs: notes")
    prose = await target.run(pr_checks, base="main", overrides=list(QUICK))
    assert prose.check("pull-request/benchmarks").reason == "no source changed"

    target.write({"work.py": BASE["work.py"].replace("2000", "4000")})
    git(target.folder, "commit", "--quiet", "--all", "--message", "feat: more work")
    ran = await target.run(pr_checks, base="main", overrides=list(QUICK), title="feat: more work")
    report = ran.report
    assert isinstance(report, PullRequestReport)
    check = ran.check("pull-request/benchmarks")
    assert (check.verdict, check.reason[:31]) == (Verdict.FAILED, "1 of 1 slower: test_work.py::te"), check
    (figure,) = report.benchmarks
    assert figure.speed is Speed.SLOWER
    assert 1.5 < figure.ratio < 2.7


async def test_what_is_gone_fails(target: Target) -> None:
    """Given a head without the base's benchmarks, they are named; where the base has retired them it passes."""
    target.write(BASE)
    git(target.folder, "add", "--all")
    git(target.folder, "commit", "--quiet", "--message", "feat: base")
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    git(target.folder, "rm", "--quiet", "test_work.py")
    git(target.folder, "commit", "--quiet", "--message", "test: take it out")
    check = (await target.run(pr_checks, base="main", overrides=list(QUICK))).check("pull-request/benchmarks")
    assert check.verdict is Verdict.FAILED
    assert check.reason == "the head no longer has what the base measures: test_work.py"

    retired = 'pull_requests.benchmarks.retired=["test_work.py*"]'
    ran = await target.run(pr_checks, base="main", overrides=[*QUICK, retired])
    assert ran.check("pull-request/benchmarks").verdict is Verdict.PASSED


@pytest.mark.skipif(not shutil.which("bwrap"), reason="rooms are made by bubblewrap")
async def test_a_strangers_benchmarks_run_in_a_room(target: Target) -> None:
    """Of a fork's pull request that may run at all the benchmarks run too, without a secret at hand."""
    curious = "import os\n\n\ndef work():\n    assert 'GITHUB_TOKEN' not in os.environ\n"
    base = curious + "    return sum(number * number for number in range(2000))\n"
    target.write(BASE | {"work.py": base})
    git(target.folder, "add", "--all")
    git(target.folder, "commit", "--quiet", "--message", "feat: base")
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    target.write({"work.py": base.replace("2000", "4000")})
    git(target.folder, "commit", "--quiet", "--all", "--message", "feat: more work")
    head = git(target.folder, "rev-parse", "HEAD").strip()
    origin = Origin(repository="o/r", commit=head, pull_request=7, base="main", is_trusted=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_TOKEN", "a-token")
        patch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
        ran = await target.run(pr_checks, base="main", overrides=list(QUICK), origin=origin)
    check = ran.check("pull-request/benchmarks")

    assert check.verdict is Verdict.FAILED, check
    assert check.reason.startswith("1 of 1 slower: test_work.py::test_speed")


NODE = {
    "towpath.toml": '[pull_requests.disabled]\ncoverage = "not asked here"\n',
    "web/package.json": '{"private": true, "type": "module", "devDependencies": {"vitest": "4.1.12"}}',
    "web/src/work.js": "export function work(steps = 2000) {\n  let total = 0;\n"
    "  for (let step = 0; step < steps; step += 1) total += (step * step) % 7;\n  return total;\n}\n",
    "web/src/work.bench.js": 'import { bench, describe } from "vitest";\nimport { work } from "./work.js";\n\n'
    'describe("work", () => {\n  bench("plain", () => {\n    work();\n  });\n});\n',
}


async def test_benchmarks_of_vitest(target: Target) -> None:
    """Benchmarks of a Node project below the root run in turns too: more work is slower, the same work is not."""
    target.write(NODE)
    git(target.folder, "add", "--all")
    git(target.folder, "commit", "--quiet", "--message", "feat: base")
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    target.write({"web/src/work.js": NODE["web/src/work.js"].replace("2000", "6000")})
    git(target.folder, "commit", "--quiet", "--all", "--message", "feat: more work")
    ran = await target.run(pr_checks, base="main", overrides=list(QUICK))
    report = ran.report
    assert isinstance(report, PullRequestReport)
    check = ran.check("pull-request/benchmarks")
    assert check.verdict is Verdict.FAILED, check
    (figure,) = report.benchmarks
    assert figure.name == "web/src/work.bench.js > work > plain"
    assert figure.speed is Speed.SLOWER
    assert 2.0 < figure.ratio < 4.5
    assert 1e-7 < figure.base_seconds < 1e-3
