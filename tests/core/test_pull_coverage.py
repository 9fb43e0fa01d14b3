"""Coverage of a pull request, from the Cobertura reports of head and base."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from tasks.core.outcome import Verdict
from tasks.core.pull_requests.change import ChangedFile, ChangeKind
from tasks.core.pull_requests.settings import ChangedCoverageSettings
from tasks.core.pull_requests.tested_lines import Recorded, judge_coverage, read_hits
from tasks.core.pull_requests.unmeasured import should_be_measured
from tasks.core.results import CheckResult
from tasks.core.tools.contract import Unreadable
from tests.core.pull_changes import change_of, changed
from tests.core.targets import discovered

REPORT = """<coverage><sources><source>{source}</source></sources><packages><package><classes>
<class filename="a.py"><lines>{lines}</lines></class></classes></package></packages></coverage>"""


def report(covered: int, missed: int, source: str = "src") -> str:
    lines = [f'<line number="{number}" hits="{int(number <= covered)}"/>' for number in range(1, covered + missed + 1)]
    return REPORT.format(source=source, lines="".join(lines))


def judged(
    head: str | None,
    base: str | None,
    *,
    lines: int = 10,
    more: tuple[ChangedFile, ...] = (),
    expected: Mapping[str, str] = MappingProxyType({}),
) -> CheckResult:
    change = change_of(changed("src/a.py", lines), *more)
    now, before = (
        Recorded(name * 40, None if text is None else read_hits([text])) for name, text in (("a", head), ("b", base))
    )
    settings = ChangedCoverageSettings()
    return judge_coverage(change, now, before, settings, target="my repo", check_id="x", expected=expected)


@pytest.mark.parametrize(
    ("head", "base", "lines", "verdict", "words"),
    [
        (report(80, 20), report(80, 20), 10, Verdict.PASSED, "80.0 % in all"),
        (report(69, 31), report(69, 31), 10, Verdict.FAILED, "below 70 %"),
        (report(80, 20), report(81, 19), 10, Verdict.FAILED, "1.0 points less"),
        (report(800, 200), report(805, 195), 10, Verdict.PASSED, "80.0 %"),
        (report(80, 20), report(80, 20), 0, Verdict.PASSED, "no changed line is measured"),
        (report(80, 40), report(66, 34), 120, Verdict.FAILED, "66.7 % of 120 changed lines"),
        (None, report(80, 20), 10, Verdict.ERROR, "the pull request"),
        (report(80, 20), None, 10, Verdict.ERROR, "the base"),
        (report(0, 0), report(80, 20), 10, Verdict.ERROR, "measured no line"),
    ],
)
def test_verdicts(head: str | None, base: str | None, lines: int, verdict: Verdict, words: str) -> None:
    """Total, changed lines and the drop each have their limit, and a report that is missing is an error."""
    result = judged(head, base, lines=lines)

    assert result.verdict is verdict
    assert words in result.reason
    assert verdict is not Verdict.ERROR or result.remedy.startswith("towpath ci 'my repo' --ref ")


def test_uncovered_changed_lines_are_places() -> None:
    """Neighbouring lines that no test reaches are one place at the first of them."""
    result = judged(report(3, 7), report(3, 7))

    assert [(place.path, place.line) for place in result.problems] == [("src/a.py", 4)]


class TestInNoReport:
    """Source files that no report mentions."""

    def test_fails(self) -> None:
        """A new module that no test imports is not covered, each of its lines, and is named with the reason."""
        report_of_head = report(80, 20)
        result = judged(
            report_of_head,
            report_of_head,
            more=(changed("src/new.py", 30),),
            expected={"src/new.py": "no tests", "src/a.py": "no tests"},
        )

        assert result.verdict is Verdict.FAILED
        assert "25.0 % of 40 changed lines is below 70 %" in result.reason
        assert "src/new.py (no tests)" in result.reason
        assert "src/a.py (" not in result.reason
        assert [(place.path, place.line, place.code) for place in result.problems] == [("src/new.py", 1, "unmeasured")]
        assert "no tests" in result.problems[0].message

    def test_is_told(self) -> None:
        """Where enough is covered all the same it passes, and the file is named as a gap."""
        result = judged(
            report(80, 20), report(80, 20), lines=80, more=(changed("src/new.py", 2),), expected={"src/new.py": "why"}
        )

        assert result.verdict is Verdict.PASSED
        assert [(place.path, place.code) for place in result.gaps] == [("src/new.py", "unmeasured")]


_MANIFEST = '[project]\nname = "shop"\n'
_FILES = {
    "api/pyproject.toml": _MANIFEST + '[tool.coverage.run]\nomit = ["*/generated/*", "src/shop/cli.py"]\n',
    "api/src/shop/__init__.py": "",
    "api/tests/test_a.py": "",
    "bare/pyproject.toml": _MANIFEST,
    "bare/bare/__init__.py": "",
    "named/pyproject.toml": _MANIFEST + '[tool.coverage.run]\nsource_pkgs = ["shop.core"]\n',
    "named/src/shop/core/a.py": "",
    "named/tests/test_a.py": "",
    "legacy/setup.cfg": "[metadata]\nname = shop\n[coverage:run]\nsource = app\nomit =\n  app/old.py\n",
    "legacy/app/a.py": "",
    "legacy/test_a.py": "",
    "web/package.json": '{"devDependencies": {"vitest": "4"}}',
    "web/src/a.ts": "",
    "seen/package.json": '{"devDependencies": {"vitest": "4", "@vitest/coverage-v8": "4"}}',
    "plain/package.json": '{"scripts": {"build": "tsc"}, "dependencies": {"react": "19"}}',
}


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (changed("api/src/shop/new.py"), "its coverage leaves it out"),
        (changed("bare/bare/new.py"), "bare has no tests"),
        (changed("named/src/shop/core/new.py"), "its coverage leaves it out"),
        (changed("legacy/app/new.py"), "its coverage leaves it out"),
        (changed("web/src/new.tsx"), "web measures no coverage: add @vitest/coverage-v8"),
        (changed("seen/lib/new.ts"), "its coverage leaves it out"),
        (changed("plain/new.js"), "no tests by vitest"),
        (changed("api/src/shop/generated/new.py"), ""),
        (changed("api/src/shop/cli.py"), ""),
        (changed("api/tests/test_new.py"), ""),
        (changed("api/tests/shared.py"), ""),
        (changed("api/scripts/new.py"), ""),
        (changed("named/src/shop/other/new.py"), ""),
        (changed("legacy/app/old.py"), ""),
        (changed("elsewhere/new.py"), ""),
        (changed("web/src/new.test.ts"), ""),
        (changed("web/src/types.d.ts"), ""),
        (changed("web/vite.config.ts"), ""),
        (changed("api/src/shop/new.md"), ""),
        (changed("api/src/shop/made.py", is_generated=True), ""),
        (changed("api/src/shop/vendor.py", is_vendored=True), ""),
        (changed("api/src/shop/gone.py", 0, kind=ChangeKind.DELETED), ""),
        (changed("api/src/shop/moved.py", 0, kind=ChangeKind.RENAMED), ""),
        (changed("api/src/shop/excluded/new.py"), ""),
    ],
)
def test_what_should_be_measured(file: ChangedFile, words: str) -> None:
    """Source of a project is expected in a report, with why it may not be there; whatever is no source is not."""
    found = should_be_measured(change_of(file), discovered(_FILES), _FILES, ["excluded/"])

    assert set(found) == ({file.path} if words else set())
    assert words in found.get(file.path, "")


def test_prose_needs_no_coverage() -> None:
    """A change of files that no test could cover is skipped, also when there is no report."""
    nothing = Recorded("a" * 40, None)
    result = judge_coverage(change_of("a.md"), nothing, nothing, ChangedCoverageSettings(), target=".", check_id="x")

    assert result.verdict is Verdict.SKIPPED


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("/h/targets/x/slot-0/tree/back/src", "back/src/a.py"),
        ("/h/slot-1/tree", "a.py"),
        ("src", "src/a.py"),
        (".", "a.py"),
    ],
)
def test_paths_are_the_targets(source: str, path: str) -> None:
    """Whichever snapshot a report was measured in, its paths are those of the repository."""
    assert [name for name, lines in read_hits([report(1, 1, source)]).items() if lines] == [path]


def test_a_truncated_report_is_unreadable() -> None:
    """Half a report is none."""
    with pytest.raises(Unreadable):
        read_hits([report(3, 3)[:80]])
