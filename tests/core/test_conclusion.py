"""From a tool's ending and output to a verdict: a pass needs an exit code, readable output and a sign of work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.catalogue import TOOLS
from tasks.core.conclusion import Conclusion, Finished, Place, conclude, judge_coverage
from tasks.core.outcome import Verdict
from tasks.core.tools.contract import Meaning, Output, Tool

HERE = Place("/tree", "backend")
RUFF_ROW = (
    '{"filename": "/tree/backend/a.py", "location": {"row": 3, "column": 1}, "message": "`os` unused", "code": "F401"}'
)


def concluded(tool: str, finished: Finished, output: Output) -> Conclusion:
    return conclude(TOOLS[tool], finished, output, HERE, reproduce="cd backend && it")


@pytest.mark.parametrize(
    ("tool", "exit_code", "output", "verdict", "said"),
    [
        ("ruff", 0, Output("[]", ""), Verdict.PASSED, "no findings"),
        ("ruff", 1, Output(f"[{RUFF_ROW}]", ""), Verdict.FAILED, "backend/a.py:3:1: `os` unused [F401]"),
        ("ruff", 0, Output(f"[{RUFF_ROW}]", ""), Verdict.ERROR, "exited 0, but its report names a problem"),
        ("ruff", 1, Output("[]", ""), Verdict.ERROR, "its report names nothing"),
        ("ruff", 0, Output("", ""), Verdict.ERROR, "its JSON report cannot be read"),
        ("ruff", 0, Output("[", ""), Verdict.ERROR, "its JSON report cannot be read"),
        ("ruff", 0, Output("[]", "warning: No Python files found under the path"), Verdict.ERROR, "no Python"),
        ("ruff", 2, Output("", "error: Failed to parse ruff.toml"), Verdict.ERROR, "2): error: Failed to parse"),
        ("ruff", 77, Output("[]", ""), Verdict.ERROR, "an exit code it is not known for"),
        ("black", 0, Output("", "No Python files are present to be formatted."), Verdict.ERROR, "no Python file"),
        ("black", 123, Output("", "error: cannot format a.py: Cannot parse: 1:3"), Verdict.ERROR, "cannot format a.py"),
        ("mypy", 0, Output("", ""), Verdict.ERROR, "it printed no summary"),
        ("pytest", 5, Output("no tests ran", ""), Verdict.ERROR, "pytest broke (exit code 5)"),
        ("pytest", 0, Output("", ""), Verdict.ERROR, "it wrote no junit.xml"),
        ("eslint", 0, Output("[]", ""), Verdict.ERROR, "it looked at no file"),
        ("tsc", 0, Output("", ""), Verdict.ERROR, "it compiled no file"),
        ("vitest", 1, Output("", "No test files found, exiting"), Verdict.ERROR, "it wrote no tests.json"),
        ("script", 1, Output("", "sh: 1: broken\nError: it is bad"), Verdict.FAILED, "Error: it is bad"),
        ("script", 127, Output("", "sh: 1: vite: not found"), Verdict.ERROR, "vite: not found"),
        ("script", 0, Output("", ""), Verdict.ERROR, "it printed nothing"),
        ("own", 0, Output("", ""), Verdict.PASSED, "done"),
        ("own", 3, Output("", "it is not so"), Verdict.FAILED, "it is not so"),
        ("bandit", 0, Output('{"errors": [{"filename": "a.py", "reason": "bad"}], "results": [], "metrics": {}}', ""),
         Verdict.ERROR, "could not look at a.py"),
        ("prettier", 0, Output("", ""), Verdict.ERROR, "it looked at no file"),
    ],
)  # fmt: skip
def test_verdicts(tool: str, exit_code: int, output: Output, verdict: Verdict, said: str) -> None:
    """Each combination of exit code and output has one verdict, and the reason holds the tool's own words."""
    outcome = concluded(tool, Finished(exit_code), output).outcome

    assert verdict == outcome.verdict
    assert said in outcome.reason


def test_a_failure_says_how_to_fix_it() -> None:
    """The remedy is the command that fixes the named files, from the target's root."""
    outcome = concluded("ruff", Finished(1), Output(f"[{RUFF_ROW}]", "")).outcome

    assert outcome.remedy == "cd backend && ruff check --fix a.py"


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
@pytest.mark.parametrize("trouble", ["was stopped after its 5 s", "was killed by signal 9", "could not be started"])
def test_a_tool_that_did_not_exit_is_an_error(tool: Tool, trouble: str) -> None:
    """A hang, a kill and a missing program are errors for every tool, whatever it printed before."""
    outcome = conclude(tool, Finished(None, trouble), Output("[]", "all good"), HERE, reproduce="it").outcome

    assert outcome.verdict == Verdict.ERROR
    assert trouble in outcome.reason


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
@given(exit_code=st.integers(0, 255), stdout=st.text(max_size=40), log=st.text(max_size=40))
def test_noise_never_passes(tool: Tool, exit_code: int, stdout: str, log: str) -> None:
    """Text that no tool would print never passes, except where exit code 0 is all a check promises."""
    outcome = conclude(tool, Finished(exit_code), Output(stdout, log), HERE, reproduce="it").outcome
    judged_by_exit_code_alone = tool.name in ("own", "script", "detect-secrets-hook", "ruff")

    assert outcome.reason
    assert outcome.verdict != Verdict.PASSED or (exit_code == 0 and judged_by_exit_code_alone)


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
def test_signals_are_never_findings(tool: Tool) -> None:
    """Exit codes that shells give for missing programs and signals mean broken, in every tool's table."""
    assert {Meaning.BROKEN} == {tool.meaning(code) for code in (126, 127, 130, 137, 143, 255)}


@pytest.mark.parametrize(
    ("covered", "valid", "minimum", "verdict", "said"),
    [
        (80, 100, 80.0, Verdict.PASSED, "80.0 % of 100 lines, at least 80 % asked"),
        (79, 100, 80.0, Verdict.FAILED, "79.0 % of 100 lines, 80 % asked; a.py:3"),
        (1, 100, 0.0, Verdict.PASSED, "1.0 % of 100 lines, no minimum set"),
        (0, 0, 0.0, Verdict.ERROR, "measured no line"),
    ],
)
def test_coverage(covered: int, valid: int, minimum: float, verdict: Verdict, said: str) -> None:
    """Coverage under its floor fails with the longest gaps; no measured line is an error even without a floor."""
    measures = {"lines_valid": valid, "lines_covered": covered}
    outcome = judge_coverage(measures, ("a.py:3: 9 lines not covered",), minimum_percent=minimum)

    assert verdict == outcome.verdict
    assert said in outcome.reason
