"""Coverage of a Node project, measured by its own vitest in CI and held to the changed lines of a pull request."""

import pytest

from flows.ci import ci
from flows.pr_checks import pr_checks
from tasks.core.outcome import Verdict
from tests.adapters.real_git import git
from tests.flows.conftest import Target

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.network,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
_VERSION = "4.1.12"
FILES = {
    "web/package.json": '{"private": true, "type": "module", "devDependencies": '
    f'{{"vitest": "{_VERSION}", "@vitest/coverage-v8": "{_VERSION}"}}}}',
    "web/vitest.config.js": "export default {\n"
    '  test: { coverage: { include: ["src/**"], thresholds: { lines: 99 } } },\n};\n',
    "web/src/work.js": "export function one() {\n  return 1;\n}\n",
    "web/src/work.test.js": 'import { expect, test } from "vitest";\nimport { one } from "./work.js";\n\n'
    'test("one", () => {\n  expect(one()).toBe(1);\n});\n',
}


async def test_changed_lines_of_vitest(target: Target) -> None:
    """Lines that vitest reached are covered, lines it did not are not, and its own thresholds fail no tests of ours."""
    target.write(FILES)
    git(target.folder, "add", "--all")
    git(target.folder, "commit", "--quiet", "--message", "feat: base")
    git(target.folder, "checkout", "--quiet", "-b", "topic")
    base = await target.run(ci, ref="main")
    assert base.check("frontend/test").verdict is Verdict.PASSED, base.check("frontend/test")

    target.write({"web/src/more.js": "export function two() {\n  return 2;\n}\n"})
    git(target.folder, "add", "--all")
    git(target.folder, "commit", "--quiet", "--message", "feat: more")
    head = await target.run(ci, ref="topic")
    assert head.check("frontend/test").verdict is Verdict.PASSED, head.check("frontend/test")
    check = (await target.run(pr_checks, base="main")).check("pull-request/coverage")

    assert check.verdict is Verdict.FAILED, check
    assert "% of" in check.reason
    assert {place.path for place in check.problems} == {"web/src/more.js"}
