"""The command line on a GitHub Actions runner: findings at their lines, and no command from what a tool printed."""

from pathlib import Path

import pytest

from tests.e2e.repositories import make_target
from tests.e2e.stage import NO_ENGINE, Stage

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


def test_on_a_runner(stage: Stage, tmp_path: Path) -> None:
    """Given a tool that prints a workflow command, the runner is deaf for it; then it is told of the real problem."""
    evil = "echo '::add-mask::a'; echo 'a.py:3:1: E1 ::set-env name=x::y'; exit 1"
    target = make_target(tmp_path / "target", {"evil": ["sh", "-c", evil], "good": ["true"]})
    summary = tmp_path / "summary.md"
    runner = {**NO_ENGINE, "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    said = stage.towpath("ci", target, "--plain", extras=runner)
    assert said.exit_code == 1
    lines = said.output.splitlines()
    deaf = next(at for at, line in enumerate(lines) if line.startswith("::stop-commands::"))
    token = lines[deaf].removeprefix("::stop-commands::")
    hears = lines.index(f"::{token}::")
    assert [line for line in lines[:deaf] + lines[hears + 1 :] if "add-mask" in line and line.startswith("::add")] == []
    assert any("::set-env name=x::y" in line for line in lines[deaf:hears]), said.output
    assert lines[hears + 1].startswith("::error ")
    assert "own/evil" in lines[hears + 1]
    assert "own/evil" in summary.read_text()


def test_off_a_runner(stage: Stage, tmp_path: Path) -> None:
    """Elsewhere no line is a workflow command."""
    target = make_target(tmp_path / "target", {"bad": ["sh", "-c", "exit 1"]})
    said = stage.towpath("ci", target, "--plain", extras={**NO_ENGINE, "GITHUB_ACTIONS": ""})
    assert not [line for line in said.output.splitlines() if line.startswith("::")]
