"""The workflows that `towpath init --github` writes, held to GitHub's rules and to those of a careful reviewer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tasks.core.forge.workflows import workflows
from tests.adapters.real_git import git
from tests.lab.engine import lab_home

_TOWPATH = Path(sys.executable).with_name("towpath")
_NAMES = {"ci.yml", "security.yml", "pr-checks.yml", "cd.yml"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    return tmp_path


def init(place: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([_TOWPATH, "init", "--github", place, *words], capture_output=True, text=True)


def test_nothing_is_written_over(place: Path) -> None:
    """Four files are written, none of them a second time without --force, and no towpath.toml."""
    assert init(place).returncode == 0
    folder = place / ".github" / "workflows"
    assert {path.name for path in folder.iterdir()} == _NAMES
    assert not (place / "towpath.toml").exists()
    (folder / "cd.yml").write_text("mine")
    refused = init(place)
    assert (refused.returncode, (folder / "cd.yml").read_text()) == (2, "mine")
    assert "--force" in refused.stderr
    assert init(place, "--force").returncode == 0
    assert (folder / "cd.yml").read_text() != "mine"


@pytest.mark.parametrize("words", [("--branch", "a b"), ("--branch", "x\ny"), ("--install", "a\nb")])
def test_what_would_break_a_file_is_refused(place: Path, words: tuple[str, str]) -> None:
    """A branch that is none and a command of two lines are refused, and nothing is written."""
    refused = init(place, *words)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert not (place / ".github").exists()


def test_each_job_may_do_the_least() -> None:
    """No permission at the top, reading alone in each job but the Security tab's, every action by a commit."""
    for path, text in workflows(install="pip install 'x: y' # z", branch="release/1").items():
        read = yaml.safe_load(text)
        (job,) = read["jobs"].values()
        assert read["permissions"] == {}
        writes = {name for name, may in job["permissions"].items() if may != "read"}
        assert writes == ({"security-events"} if "security" in path else set())
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(len(action.split("@")[1]) == 40 for action in used)
        assert job["steps"][3]["run"] == "pip install 'x: y' # z\n"
        assert not any("${{" in step.get("run", "") for step in job["steps"])


@pytest.mark.network
def test_actionlint_has_nothing_to_say(place: Path) -> None:
    """GitHub's syntax, contexts and shell are as actionlint wants them."""
    init(place, "--branch", "trunk")
    done = subprocess.run([_actionlint()], cwd=place, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.network
def test_zizmor_has_nothing_to_say(place: Path) -> None:
    """No injection, no credential left behind, no permission too many, nothing unpinned, by zizmor."""
    init(place)
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [uv, "tool", "run", "--quiet", "zizmor==1.32.0", "--offline", "--persona", "regular", "."],
        cwd=place,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No findings" in done.stdout


def _actionlint() -> Path:
    program = lab_home() / "go" / "actionlint"
    if not program.exists():
        module = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"
        environment = {"GOBIN": str(program.parent), "GOFLAGS": "-modcacherw"}
        subprocess.run(["go", "install", module], check=True, env={**os.environ, **environment})
    return program
