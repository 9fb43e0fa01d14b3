"""What git says about an index and an address, with real repositories, indexes and hooks."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tasks.adapters import git
from tasks.adapters.git import GitError, TargetRefused, TemporaryFailure, export_index, mask, refusal, staged_files
from tasks.adapters.process import Ending
from tests.adapters.real_git import git as call

ROOT = Path(git.__file__).parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "r"
    path.mkdir()
    call(path, "init", "-q", "-b", "main")
    for name in ("kept", "gone", "moved"):
        (path / name).write_text(f"{name}\n" * 20)
    call(path, "add", ".")
    call(path, "commit", "-q", "-m", "first")
    return path


def staged(repository: Path) -> list[str]:
    return asyncio.run(staged_files(repository))


def exported(repository: Path, into: Path) -> dict[str, str]:
    """What the export of all staged files holds."""
    asyncio.run(export_index(repository, staged(repository), into))
    found = [path for path in into.rglob("*") if path.is_file()]
    return {str(path.relative_to(into)): path.read_text() for path in found}


class TestStaged:
    def test_kinds_of_change(self, repository: Path) -> None:
        """Added, modified and renamed files are staged; deleted and unstaged ones are not."""
        (repository / "kept").write_text("changed\n")
        (repository / "new\nline \udcff").write_text("new\n")
        call(repository, "mv", "moved", "away")
        call(repository, "rm", "-q", "gone")
        call(repository, "add", ".")
        (repository / "unstaged").write_text("x")

        assert {"kept", "new\nline \udcff", "away"} == set(staged(repository))

    def test_content_of_the_index(self, repository: Path, tmp_path: Path) -> None:
        """What is written is what was staged, not what the work tree holds by now."""
        (repository / "deep").mkdir()
        (repository / "deep" / "new").write_text("staged\n")
        call(repository, "add", ".")
        (repository / "deep" / "new").write_text("later\n")

        assert exported(repository, tmp_path / "out") == {"deep/new": "staged\n"}
        assert (repository / "deep" / "new").read_text() == "later\n"

    def test_executable(self, repository: Path, tmp_path: Path) -> None:
        """The executable bit is staged too."""
        (repository / "tool").write_text("#!/bin/sh\n")
        (repository / "tool").chmod(0o755)
        call(repository, "add", ".")
        exported(repository, tmp_path / "out")

        assert os.access(tmp_path / "out" / "tool", os.X_OK)

    def test_before_the_first_commit(self, tmp_path: Path) -> None:
        """A first commit is checked like any other."""
        call(tmp_path, "init", "-q")
        (tmp_path / "a").write_text("first\n")
        call(tmp_path, "add", "a")

        assert exported(tmp_path, tmp_path / "out") == {"a": "first\n"}

    def test_nothing_staged(self, repository: Path, tmp_path: Path) -> None:
        """Nothing staged is an empty list and an empty export."""
        assert exported(repository, tmp_path / "out") == {}

    def test_linked_work_tree(self, repository: Path, tmp_path: Path) -> None:
        """A linked work tree has an index of its own."""
        call(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
        (tmp_path / "side" / "b").write_text("side\n")
        call(tmp_path / "side", "add", "b")

        assert exported(tmp_path / "side", tmp_path / "out") == {"b": "side\n"}
        assert staged(repository) == []

    def test_not_a_repository(self, tmp_path: Path) -> None:
        """Outside a repository there is one line that says so."""
        with pytest.raises(TargetRefused, match="not a git repository"):
            staged(tmp_path)


HOOK = """#!{python}
import asyncio, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tasks.adapters.git import export_index, staged_files
async def main() -> None:
    here = Path.cwd()
    paths = await staged_files(here)
    Path({out!r}, "list").write_text(" ".join(paths))
    await export_index(here, paths, Path({out!r}, "tree"))
asyncio.run(main())
"""


class TestInsideAHook:
    @pytest.mark.parametrize("is_linked", [False, True])
    @pytest.mark.parametrize("arguments", [("-a",), ("--only", "kept"), ()])
    def test_index_being_committed(
        self, repository: Path, tmp_path: Path, arguments: tuple[str, ...], is_linked: bool
    ) -> None:
        """In a pre-commit hook the index is the one git is about to commit, in every kind of commit and work tree."""
        out = tmp_path / "out"
        (out / "tree").mkdir(parents=True)
        hook = repository / ".git" / "hooks" / "pre-commit"
        hook.write_text(HOOK.format(python=sys.executable, root=str(ROOT), out=str(out)))
        hook.chmod(0o755)
        place = repository
        if is_linked:
            place = tmp_path / "side"
            call(repository, "worktree", "add", "-q", "-b", "side", str(place))
        (place / "moved").write_text("staged\n")
        call(place, "add", "moved")
        (place / "kept").write_text("changed\n")
        call(place, "commit", "-q", "-m", "x", *arguments)

        expected = {("-a",): ["kept", "moved"], ("--only", "kept"): ["kept"], (): ["moved"]}[arguments]
        assert expected == (out / "list").read_text().split()
        assert expected == sorted(path.name for path in (out / "tree").iterdir())


class TestRefusal:
    @pytest.mark.parametrize(
        ("errors", "kind", "words"),
        [
            (
                "fatal: unable to access 'https://h/': Could not resolve host: h",
                TemporaryFailure,
                "could not be reached",
            ),
            ("fatal: unable to access 'https://h/': The requested URL returned error: 503", TemporaryFailure, "503"),
            (
                "ssh: connect to host h port 22: Connection refused\nfatal: Could not read",
                TemporaryFailure,
                "try again",
            ),
            ("remote: no\nfatal: Authentication failed for 'https://h/'", TargetRefused, "refused these credentials"),
            ("fatal: unable to access 'x': The requested URL returned error: 403", TargetRefused, "error: 403"),
            ("", TargetRefused, "could not be read"),
            ("\n\n", TargetRefused, "could not be read"),
        ],
    )
    def test_lines(self, errors: str, kind: type[TargetRefused], words: str) -> None:
        """Only what may pass is temporary, and every refusal is one line that names the target."""
        line = refusal(GitError(errors=errors), "https://h/")

        assert kind is type(line)
        assert words in str(line)
        assert "https://h/" in str(line)
        assert "\n" not in str(line)

    def test_deadline(self) -> None:
        """A fetch that hangs is temporary."""
        assert isinstance(refusal(GitError(errors="late", ending=Ending.TIMED_OUT), "x"), TemporaryFailure)

    @pytest.mark.parametrize(
        ("address", "shown"),
        [
            ("https://user:pass@h/r.git", "https://***@h/r.git"),
            ("https://ghp_token@h/r", "https://***@h/r"),
            ("https://h/r@v1", "https://h/r@v1"),
            ("ssh://git@h/r", "ssh://git@h/r"),
            ("ssh://git:pass@h/r", "ssh://git:***@h/r"),
            ("git@h:r.git", "git@h:r.git"),
            ("/srv/a@b", "/srv/a@b"),
        ],
    )
    def test_mask(self, address: str, shown: str) -> None:
        """Credentials in an address are never shown."""
        assert shown == mask(address)


def test_failing_answer_waits_for_the_other() -> None:
    """Of two questions asked at once, a refusal of one comes back when both have ended."""
    ended: list[str] = []

    async def answer(name: str, *, fails: bool) -> bytes:
        await asyncio.sleep(0)
        ended.append(name)
        if fails:
            raise GitError(errors=name)
        return name.encode()

    with pytest.raises(GitError, match="one"):
        asyncio.run(git.both(answer("one", fails=True), answer("two", fails=False)))
    assert ended == ["one", "two"]
