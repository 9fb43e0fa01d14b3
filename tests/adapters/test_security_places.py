"""The small things the security stage keeps and reads on disk."""

import asyncio
import os
from pathlib import Path

import pytest

from tasks.adapters.daily_targets import daily_targets, set_daily
from tasks.adapters.histories import HistoryRefused, count_commits, history_of, meeting_point
from tasks.adapters.node_registry import chosen_registry
from tasks.adapters.production_findings import keep_findings, known_findings
from tasks.adapters.salts import salt_of
from tests.adapters.real_git import git


def test_the_salt_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    """Two calls give one salt, which only its owner can read; a team's own goes before it."""
    first = salt_of(tmp_path, {})
    assert salt_of(tmp_path, {}) == first
    assert len(first) == 32
    assert (tmp_path / "security" / "salt").stat().st_mode & 0o077 == 0
    assert salt_of(tmp_path, {"TOWPATH_FINGERPRINT_SALT": "team"}) == b"team"


def test_a_damaged_salt_is_not_made_anew_in_silence(tmp_path: Path) -> None:
    """A salt of another length stays, since another one would make every known secret a new one."""
    salt_of(tmp_path, {})
    (tmp_path / "security" / "salt").write_bytes(b"short")
    assert salt_of(tmp_path, {}) == b"short"


def test_daily_targets_are_added_once_and_taken_away(tmp_path: Path) -> None:
    """The list keeps its order, holds nothing twice, and outlives a broken file."""
    for target in ("b", "a", "b"):
        asyncio.run(set_daily(tmp_path, target, is_daily=True))
    assert daily_targets(tmp_path) == ("a", "b")
    asyncio.run(set_daily(tmp_path, "a", is_daily=False))
    assert daily_targets(tmp_path) == ("b",)
    (tmp_path / "security" / "daily.json").write_text("{")
    assert daily_targets(tmp_path) == ()


def test_what_is_known_of_an_environment_is_kept(tmp_path: Path) -> None:
    """Nobody has looked, looked and found nothing, and found something are three answers."""
    assert known_findings(tmp_path, target="shop", environment="production") is None
    keep_findings(tmp_path, [], target="shop", environment="production")
    assert known_findings(tmp_path, target="shop", environment="production") == frozenset()
    keep_findings(tmp_path, ["b", "a"], target="shop", environment="production")
    assert known_findings(tmp_path, target="shop", environment="production") == frozenset({"a", "b"})


@pytest.mark.parametrize(
    ("environment", "npmrc", "chosen"),
    [
        ({"npm_config_registry": "https://one"}, "registry=https://two", "https://one"),
        ({}, "//two/:_authToken=x\nregistry = https://two\n", "https://two"),
        ({}, "# registry=https://two", ""),
        ({}, None, ""),
    ],
)
def test_the_users_registry(tmp_path: Path, environment: dict[str, str], npmrc: str | None, chosen: str) -> None:
    """The variable goes before the file; a comment and no file name none."""
    if npmrc is not None:
        (tmp_path / ".npmrc").write_text(npmrc)
    assert chosen_registry({"HOME": str(tmp_path), **environment}) == chosen


def commit_all(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three commits on main, and a branch from the second."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    folder = tmp_path / "with space"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for number in range(3):
        (folder / "file").write_text(str(number))
        commit_all(folder, f"commit {number}")
        if number == 1:
            git(folder, "branch", "topic")
    git(folder, "checkout", "-q", "topic")
    (folder / "other").write_text("x")
    commit_all(folder, "on topic")
    return folder


def head(folder: Path, ref: str = "HEAD") -> str:
    return git(folder, "rev-parse", ref).strip()


def test_the_history_is_whole_and_our_own(repository: Path, tmp_path: Path) -> None:
    """A copy has every commit, none of the target's configuration, and follows when the target moves on."""
    git(repository, "config", "core.fsmonitor", "false")
    git(repository, "config", "diff.external", "/bin/false")
    place = asyncio.run(history_of(str(repository), head(repository), base="", state=tmp_path / "state"))
    assert asyncio.run(count_commits(place, "")) == 3
    assert "external" not in (place / "config").read_text()
    (repository / "more").write_text("y")
    commit_all(repository, "more")
    asyncio.run(history_of(str(repository), head(repository), base="", state=tmp_path / "state"))
    assert asyncio.run(count_commits(place, "")) == 4


def test_base_and_head_meet_where_they_parted(repository: Path, tmp_path: Path) -> None:
    """What was committed to the base since is not in between."""
    met = asyncio.run(meeting_point(str(repository), "main", head(repository), state=tmp_path))
    assert met == head(repository, "main~1")
    place = asyncio.run(history_of(str(repository), head(repository), base=met, state=tmp_path / "state"))
    assert asyncio.run(count_commits(place, f"{met}..{head(repository)}")) == 1


def test_an_unknown_base_is_refused(repository: Path, tmp_path: Path) -> None:
    """A ref nobody knows is one line that names it."""
    with pytest.raises(HistoryRefused, match="nowhere names no commit"):
        asyncio.run(meeting_point(str(repository), "nowhere", head(repository), state=tmp_path))


def test_a_shallow_clone_has_no_whole_history(repository: Path, tmp_path: Path) -> None:
    """What is not there cannot be said to be clean: the refusal says how to get it."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", str(clone))
    with pytest.raises(HistoryRefused, match="git fetch --unshallow"):
        asyncio.run(history_of(str(clone), head(clone), base="", state=tmp_path / "state"))
    git(clone, "fetch", "-q", "--unshallow")
    place = asyncio.run(history_of(str(clone), head(clone), base="", state=tmp_path / "state"))
    assert asyncio.run(count_commits(place, "")) == 3
