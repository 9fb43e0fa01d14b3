"""Each tool's output, recorded from the real tool, as it is read and concluded.

The recordings are in tests/assets, made by `python -m tests.assets.record`. What is cut short, at whatever byte, is
never read as more than it says: a finding is lost only together with the readability of the whole.
"""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.catalogue import TOOLS
from tasks.core.conclusion import Conclusion, Finished, Place, conclude
from tasks.core.outcome import Verdict
from tasks.core.tools.contract import Output, Reading, Tool, Unreadable
from tests.assets.recording import Recording, all_recordings, recording

RECORDINGS = tuple(all_recordings())
HERE = Place("/tree", ".")
PASSED, FAILED, ERROR = Verdict.PASSED, Verdict.FAILED, Verdict.ERROR
_LONG = 100_000


def concluded(recorded: Recording) -> Conclusion:
    return conclude(recorded.tool, Finished(recorded.exit_code), recorded.output, HERE, reproduce="again")


def places_of(conclusion: Conclusion) -> list[str]:
    return [problem.place for problem in conclusion.reading.problems] if conclusion.reading else []


def read_anyway(tool: Tool, output: Output) -> Reading | None:
    try:
        return tool.read(output)
    except Unreadable:
        return None


@pytest.mark.parametrize(
    ("tool", "case", "looked_at"),
    [
        ("bandit", "clean", 1),
        ("biome", "clean", 1),
        ("biome", "clean-old", 1),
        ("black", "clean", 1),
        ("black", "clean-old", 1),
        ("detect-secrets-hook", "clean", 1),
        ("eslint", "clean", 2),
        ("eslint", "warnings", 2),
        ("jest", "passed", 1),
        ("mypy", "clean", 1),
        ("mypy", "clean-old", 1),
        ("prettier", "clean", 1),
        ("pytest", "passed", 1),
        ("pytest", "passed-old", 1),
        ("pytest", "module-skipped", 1),
        ("ruff", "clean", 1),
        ("ruff-format", "clean", 1),
        ("script", "vite-clean", 1),
        ("script", "vite-clean-old", 1),
        ("script", "webpack-clean", 1),
        ("tsc", "clean-5", 8),
        ("tsc", "clean-6", 83),
        ("tsc", "clean-7", 83),
        ("tsc", "build-clean-5", 16),
        ("tsc", "build-clean-6", 166),
        ("tsc", "build-clean-7", 166),
        ("vitest", "passed", 1),
    ],
)
def test_clean(tool: str, case: str, looked_at: int) -> None:
    """A clean run passes, with the number of things it looked at."""
    conclusion = concluded(recording(tool, case))

    assert conclusion.outcome.verdict == PASSED, conclusion.outcome.reason
    assert conclusion.reading is not None
    assert looked_at == conclusion.reading.looked_at


_TYPED = ["a.py:1:10", "a.py:5:12", "sub/b.py:2:5"]
_LINTED = ["a.js:1:12", "a.js:2:1", "sub dir/é.js:1:5"]
_COMPILED = ["src/(group)/[id].ts:1:19", "src/a.ts:1:14", "src/a.ts:3:3"]
_COMPILED_TOGETHER = ["one/src/a.ts:1:14", "two/src/b.ts:2:14"]
_TESTED = ["tests/unit/test_a.py:10", "tests/unit/test_a.py:16", "tests/unit/test_a.py:6"]
_FIXTURES = [f"tests/test_a.py:{line}" for line in (6, 12, 24, 12, 27)]


@pytest.mark.parametrize(
    ("tool", "case", "places", "said"),
    [
        ("bandit", "findings", ["a.py:1", "a.py:5", "a.py:6", "sub/é.py:1", "sub/é.py:2"], "shell=True"),
        ("biome", "findings", ["a.ts:2:7", "a.ts:2:13", "a.ts:2", "sub/é.ts:1"], "[lint/suspicious/noDoubleEquals]"),
        ("biome", "findings-old", ["sub/é.ts:1", "a.ts:2:7", "a.ts:2:13", "a.ts:1:8", "a.ts:2"], "Use === instead"),
        ("biome", "syntax-error", ["a.ts:1:12", "a.ts"], "expected `)` but instead found `;` [parse]"),
        ("black", "findings", ["a.py:4", "sub dir/é.py:2"], "would be reformatted"),
        ("black", "findings-old", ["a.py:4", "sub dir/é.py:2"], "would be reformatted"),
        ("detect-secrets-hook", "findings", ["a.py:2", "sub/é.txt:1"], "possible secret: Secret Keyword"),
        ("eslint", "findings", _LINTED, "[no-undef]"),
        ("eslint", "findings-old", _LINTED, "[no-undef]"),
        ("eslint", "syntax-error", ["a.js:1:12"], "Parsing error: Unexpected token ;"),
        ("jest", "failed", ["a.test.js:3:19", "a.test.js:6:11", "a.test.js:9:3"], "sums a: Error: expect(received)"),
        ("jest", "broken-hook", ["a.test.js:1:25"], "a: Error: no base"),
        ("jest", "broken-import", ["a.test.js:2:1"], "Cannot find module './nowhere.js'"),
        ("jest", "syntax-error", ["a.test.js:1:6"], "Jest encountered an unexpected token"),
        ("jest", "no-tests-inside", ["a.test.js"], "must contain at least one test"),
        ("mypy", "findings", _TYPED, "Incompatible return value type"),
        ("mypy", "findings-old", _TYPED, "Incompatible return value type"),
        ("mypy", "missing-stub", ["a.py:1:1", "a.py:2:1"], 'stubs not installed for "yaml" [import-untyped]'),
        ("mypy", "missing-stub-old", ["a.py:1:1", "a.py:2:1"], 'stubs not installed for "yaml" [import]'),
        ("prettier", "findings", ["a.ts", "sub dir/é.ts"], "would be reformatted"),
        ("pytest", "failed", _TESTED, "test_b[a::b[c]]: AssertionError: assert 'a::b[c]' == 1"),
        ("pytest", "failed-old", _TESTED, "test_a: AssertionError: wrong <half> & more"),
        ("pytest", "broken-fixture", _FIXTURES, 'failed on setup with "RuntimeError: no base"'),
        ("pytest", "broken-fixture-old", _FIXTURES, 'failed on teardown with "RuntimeError: no end"'),
        ("pytest", "unittest", ["tests/test_a.py:6", "tests/test_a.py:15"], "test_a: AssertionError: 1 != 2"),
        ("pytest", "unittest-old", ["tests/test_a.py:6", "tests/test_a.py:15"], "test_c: AssertionError: 1 != 0"),
        ("pytest", "suites", ["tests/test_a.py:11", "tests/test_a.py:19"], "test_d: [XPASS(strict)]"),
        ("ruff", "findings", ["a.py:1:8", "a.py:4:7", "sub dir/é.py:1:8"], "`os` imported but unused [F401]"),
        ("ruff", "syntax-error", ["a.py:2:1"], "unexpected EOF while parsing [invalid-syntax]"),
        ("ruff-format", "findings", ["a.py:4", "sub dir/é.py:2"], "would be reformatted"),
        ("script", "vite-broken-import", ["src/main.js:2:8"], "Could not resolve './nowhere.css'"),
        ("script", "vite-broken-import-old", ["src/main.js"], 'Could not resolve "./nowhere.css"'),
        ("script", "vite-missing-package", ["src/main.js"], 'failed to resolve import "nowhere"'),
        ("script", "vite-missing-package-old", ["src/main.js"], 'failed to resolve import "nowhere"'),
        ("script", "vite-syntax-error", ["src/main.js:2:12"], "[PARSE_ERROR] Unexpected token"),
        ("script", "vite-syntax-error-old", ["src/main.js:1:0"], "contains invalid JS syntax"),
        ("script", "webpack-broken-import", ["src/index.js:2:0"], "Can't resolve './nowhere'"),
        ("script", "webpack-syntax-error", ["src/index.js:2:11"], "Module parse failed: Unexpected token"),
        ("script", "silent", [], "it failed and said nothing"),
        ("tsc", "findings-5", _COMPILED, "Parameter 'a' implicitly has an 'any' type. [TS7006]"),
        ("tsc", "findings-6", _COMPILED, "Parameter 'a' implicitly has an 'any' type. [TS7006]"),
        ("tsc", "findings-7", _COMPILED, "Parameter 'a' implicitly has an 'any' type. [TS7006]"),
        ("tsc", "syntax-error-7", ["src/a.ts:1:12"], "Expression expected. [TS1109]"),
        ("tsc", "build-findings-5", _COMPILED_TOGETHER, "[TS2322]"),
        ("tsc", "build-findings-6", _COMPILED_TOGETHER, "[TS2322]"),
        ("tsc", "build-findings-7", _COMPILED_TOGETHER, "[TS2322]"),
        ("tsc", "bad-configuration-7", ["tsconfig.json:1:22"], "Unknown compiler option 'nowhere'. [TS5023]"),
        ("vitest", "failed", ["a.test.js:4:19", "a.test.js:7:11", "a.test.js"], "sums b: Error: no"),
        ("vitest", "broken-hook", ["a.test.js:2:25"], "no base"),
        ("vitest", "broken-import", ["a.test.js:2:1"], "Cannot find module './nowhere.js'"),
        ("vitest", "syntax-error", ["a.test.js:1:0"], "contains invalid JS syntax"),
        ("vitest", "no-tests-inside", ["a.test.js"], "No test suite found"),
    ],
)
def test_findings(tool: str, case: str, places: list[str], said: str) -> None:
    """Findings fail, each at its file, line and column from the target's root, in the tool's words."""
    conclusion = concluded(recording(tool, case))

    assert conclusion.outcome.verdict == FAILED, conclusion.outcome.reason
    assert places == places_of(conclusion)
    assert said in conclusion.outcome.reason


@pytest.mark.parametrize(
    ("tool", "case", "said"),
    [
        ("bandit", "syntax-error", "could not look at ./a.py: syntax error while parsing AST"),
        ("bandit", "empty", "bandit broke (exit code 2"),
        ("biome", "empty", "No files were processed in the specified paths"),
        ("biome", "empty-old", "No files were processed in the specified paths"),
        ("biome", "bad-configuration", "expected `}` but instead the file ends"),
        ("black", "syntax-error", "(exit code 123): a.py:1:5: cannot be parsed; b.py:1: would be reformatted"),
        ("black", "syntax-error-old", "(exit code 123): a.py:2:0: cannot be parsed; b.py:1: would be reformatted"),
        ("black", "only-syntax-error", "(exit code 123): a.py:1:5: cannot be parsed"),
        ("black", "empty", "it looked at no Python file"),
        ("black", "bad-configuration", "'x' is not a valid integer"),
        ("detect-secrets-hook", "bad-baseline", "Unable to read baseline"),
        ("eslint", "bad-configuration", "SyntaxError: Unexpected end of input"),
        ("jest", "all-skipped", "no test ran"),
        ("jest", "empty", "no test ran"),
        ("mypy", "syntax-error", "mypy broke (exit code 2): a.py:2:2: Unexpected EOF while parsing [syntax]"),
        ("mypy", "syntax-error-old", "mypy broke (exit code 2): a.py:1:6: '(' was never closed [syntax]"),
        ("mypy", "empty", "There are no .py[i] files"),
        ("mypy", "bad-configuration", "No module named 'nowhere'"),
        ("prettier", "syntax-error", "(exit code 2): a.ts:1:12: SyntaxError: Expression expected."),
        ("prettier", "bad-configuration", "Invalid configuration for file"),
        ("pytest", "broken-collection", "tests/test_a.py:1: tests.test_a: ModuleNotFoundError: No module named"),
        ("pytest", "broken-collection-old", "tests/test_a.py:1: tests.test_a: ModuleNotFoundError: No module named"),
        ("pytest", "syntax-error", "tests/test_a.py:1: tests.test_a: SyntaxError: invalid syntax"),
        ("pytest", "syntax-error-old", "tests/test_a.py:1: tests.test_a: SyntaxError: invalid syntax"),
        ("pytest", "all-skipped", "every test was skipped"),
        ("pytest", "empty", "pytest broke (exit code 5)"),
        ("pytest", "exit-inside", "it wrote no junit.xml"),
        ("pytest", "bad-configuration", "unrecognized arguments: --nowhere"),
        ("ruff", "empty", "it looked at no Python file"),
        ("ruff", "bad-configuration", "Failed to parse /tree/pyproject.toml"),
        ("ruff-format", "syntax-error", "a.py:2:1: unexpected EOF while parsing; b.py:1: would be reformatted"),
        ("ruff-format", "only-syntax-error", "Failed to parse a.py:2:1"),
        ("ruff-format", "empty", "it looked at no Python file"),
        ("script", "absent-program", "towpath-nowhere: not found"),
        ("tsc", "empty-5", "TS18003: No inputs were found"),
        ("tsc", "empty-6", "TS18003: No inputs were found"),
        ("tsc", "empty-7", "TS18003: No inputs were found"),
        ("tsc", "build-missing-project-5", "nowhere/tsconfig.json"),
        ("tsc", "build-missing-project-7", "nowhere/tsconfig.json"),
        ("vitest", "all-skipped", "no test ran"),
        ("vitest", "empty", "no test ran"),
    ],
)
def test_broken(tool: str, case: str, said: str) -> None:
    """What kept a tool from its work is an error, named in the tool's words with the place where it has one."""
    conclusion = concluded(recording(tool, case))

    assert conclusion.outcome.verdict == ERROR
    assert said in conclusion.outcome.reason


def test_suites() -> None:
    """Unit, integration and smoke tests are told apart by their marker, else by their folder."""
    reading = concluded(recording("pytest", "suites")).reading

    assert reading is not None
    assert reading.suites == {
        "integration": "1 passed",
        "other": "1 failed, 1 skipped",
        "smoke": "1 failed",
        "unit": "1 passed",
    }


@pytest.mark.parametrize("case", ["failed", "failed-old"])
def test_names_of_failed_tests(case: str) -> None:
    """A failed test has the name under which pytest runs it again, classes and parameters included."""
    reading = concluded(recording("pytest", case)).reading

    assert reading is not None
    assert reading.failed_tests == (
        "tests/unit/test_a.py::test_a",
        "tests/unit/test_a.py::TestIt::test_b[a::b[c]]",
        "tests/unit/test_a.py::TestIt::TestInner::test_c",
    )


@pytest.mark.parametrize("case", ["passed", "passed-old"])
def test_coverage(case: str) -> None:
    """Coverage counts lines and names the stretches that no test reached."""
    reading = concluded(recording("pytest", case)).reading

    assert reading is not None
    assert reading.measures == {"lines_valid": 4, "lines_covered": 3}
    assert [str(gap) for gap in reading.gaps] == ["calc.py:3: 1 lines not covered: 3"]


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_is_recorded(tool: str) -> None:
    """No tool of the catalogue is without recordings, checks of a team's own excepted."""
    assert tool == "own" or any(recorded.tool.name == tool for recorded in RECORDINGS)


@settings(max_examples=400)
@given(st.data())
def test_truncation(data: st.DataObject) -> None:
    """Output that ends at any byte is readable or not, and with exit code 1 it is never clean."""
    recorded = data.draw(st.sampled_from(RECORDINGS))
    stream = data.draw(st.sampled_from(sorted(recorded.streams)))
    cut = recorded.cut(stream, data.draw(st.integers(0, len(recorded.streams[stream]))))

    read_anyway(recorded.tool, cut)
    outcome = conclude(recorded.tool, Finished(1), cut, HERE, reproduce="again").outcome

    assert outcome.verdict in (FAILED, ERROR)
    assert outcome.reason


@pytest.mark.parametrize("recorded", RECORDINGS, ids=lambda recorded: recorded.id)
def test_half_a_report(recorded: Recording) -> None:
    """Half of a machine-readable report is unreadable; half of a text has no problem that the whole has not."""
    for stream, content in recorded.streams.items():
        half = read_anyway(recorded.tool, recorded.cut(stream, len(content) // 2))
        whole = read_anyway(recorded.tool, recorded.output)
        if content[:1] in (b"{", b"[", b"<") and len(content) > 10 and stream in ("stdout", *recorded.tool.reports):
            assert half is None
        if half is not None and whole is not None and stream == "log":
            known = {(problem.path, problem.line) for problem in whole.problems}
            assert {(problem.path, problem.line) for problem in half.problems} <= known | {
                (path, None) for path, _ in known
            }


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
@pytest.mark.parametrize("piece", ["a", "/a", "a.", "a ", "(a)", "[a]", "\\ ", "a:1:", "error ", " FAIL", "━", "1 "])
def test_long_lines(tool: Tool, piece: str) -> None:
    """A line of any length, as a minified file in a log, is read in the time its length asks for, not its square."""
    line = piece * (_LONG // len(piece))
    before = time.process_time()
    read_anyway(tool, Output(line, line, dict.fromkeys(tool.reports, line)))

    assert time.process_time() - before < 2


@pytest.mark.parametrize("tool", ["jest", "vitest"])
@pytest.mark.parametrize("piece", ["a", "/a", "a.", "at /a:1 ", "/a: ", "(/a:1:", "❯ "])
def test_long_messages(tool: str, piece: str) -> None:
    """The same holds for the message of a failed test."""
    message = piece * (_LONG // len(piece))
    failed = {"status": "failed", "fullName": "a", "failureMessages": [message]}
    broken = {"name": "/tree/b.test.js", "status": "failed", "assertionResults": [], "message": message}
    report = {
        "testResults": [{"name": "/tree/a.test.js", "status": "failed", "assertionResults": [failed]}, broken],
        **{f"num{name}Tests": 1 for name in ("Total", "Passed", "Failed")},
    }
    before = time.process_time()
    reading = TOOLS[tool].read(Output("", message, {"tests.json": json.dumps(report)}))

    assert time.process_time() - before < 2
    assert len(reading.problems) == 2
