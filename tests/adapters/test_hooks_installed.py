"""`towpath hooks install` in a real repository: commits are refused and accepted, nothing of a team's is lost."""

from pathlib import Path

import pytest
import yaml

from tests.adapters.committing import BAD, MANIFEST, TOWPATH, Desk
from tests.adapters.real_git import git

pytestmark = pytest.mark.network
THEIRS = """# ours
repos:
  - repo: local
    hooks:
      - id: theirs  # keep
        name: theirs
        entry: touch theirs-ran
        language: system
        pass_filenames: false
"""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "-q", "-b", "main")
    desk = Desk(repository, tmp_path / "home")
    desk.stage({"pyproject.toml": MANIFEST, "a.py": "x = 1\n"})
    git(repository, "commit", "-q", "-m", "first")
    return desk


def test_commits(desk: Desk) -> None:
    """A commit of a bad file is refused with file and line, and accepted once it is mended, also by `commit -a`."""
    installed = desk.run(TOWPATH, "hooks", "install", desk.repository)
    desk.stage({".pre-commit-config.yaml": (desk.repository / ".pre-commit-config.yaml").read_text(), "a.py": BAD})
    refused = desk.run("git", "commit", "-m", "bad")
    before = git(desk.repository, "rev-list", "--count", "HEAD")
    desk.write({"a.py": "x = 2\n"})
    accepted = desk.run("git", "commit", "-a", "-m", "good")
    desk.write({"a.py": BAD})
    refused_again = desk.run("git", "commit", "-a", "-m", "bad again")

    assert installed.exit_code == 0, installed.errors
    assert refused.exit_code != 0
    assert "a.py:1: `os` imported but unused F401" in refused.output + refused.errors
    assert before == "1"
    assert accepted.exit_code == 0, accepted.output + accepted.errors
    assert refused_again.exit_code != 0
    assert git(desk.repository, "log", "--format=%s") == "good\nfirst"


def test_theirs_stay(desk: Desk) -> None:
    """An existing configuration keeps its hooks, which still run, and a second installation changes nothing."""
    desk.stage({".pre-commit-config.yaml": THEIRS})
    first = desk.run(TOWPATH, "hooks", "install")
    text = (desk.repository / ".pre-commit-config.yaml").read_text()
    second = desk.run(TOWPATH, "hooks", "install", folder=desk.repository)
    git(desk.repository, "add", ".pre-commit-config.yaml")
    committed = desk.run("git", "commit", "-m", "hooks")

    assert (first.exit_code, second.exit_code) == (0, 0), first.errors + second.errors
    assert "has our hook already" in second.output
    assert text == (desk.repository / ".pre-commit-config.yaml").read_text()
    assert text.startswith("# ours\n")
    assert "# keep" in text
    assert [row["hooks"][0]["id"] for row in yaml.safe_load(text)["repos"]] == ["theirs", "towpath"]
    assert committed.exit_code == 0, committed.output + committed.errors
    assert (desk.repository / "theirs-ran").exists()


def test_refused(desk: Desk, tmp_path: Path) -> None:
    """A configuration that cannot be merged, and a folder without git, are one line and exit code 2."""
    desk.write({".pre-commit-config.yaml": "repos: [{repo: local, hooks: []}]\n"})
    unmergeable = desk.run(TOWPATH, "hooks", "install")
    nowhere = desk.run(TOWPATH, "hooks", "install", tmp_path)

    assert (unmergeable.exit_code, nowhere.exit_code) == (2, 2)
    assert "by hand" in unmergeable.errors
    assert (len(unmergeable.errors.splitlines()), len(nowhere.errors.splitlines())) == (1, 1)
