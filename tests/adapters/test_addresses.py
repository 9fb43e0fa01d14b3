"""Targets by ref and by address, and what is refused, with real repositories."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tasks.adapters.snapshots import TemporaryFailure, open_snapshot
from tests.adapters.real_git import contents, git, refused, take


class TestRefsAndAddresses:
    def test_ref_of_a_folder(self, repository: Path, tmp_path: Path) -> None:
        """A ref's tree is taken, not the work tree; branch, tag, short hash and ancestry all name one."""
        first = git(repository, "rev-parse", "HEAD")
        git(repository, "tag", "-a", "v1", "-m", "v1")
        (repository / "a.txt").write_text("second\n")
        git(repository, "commit", "-q", "-a", "-m", "second")
        (repository / "a.txt").write_text("not committed\n")

        for ref, branch, text in [("main", "main", "second\n"), ("v1", None, "one\n"), ("main~1", None, "one\n")]:
            snapshot = take(repository, tmp_path / "state", ref=ref)
            assert (branch, False, text) == (
                snapshot.branch,
                snapshot.is_dirty,
                (snapshot.tree / "a.txt").read_text(),
            )
        assert first == take(repository, tmp_path / "state", ref=first[:8]).revision

    def test_address(self, repository: Path, tmp_path: Path) -> None:
        """An address is fetched and its default branch taken; what was pushed since is there the next time."""
        address = f"file://{repository}"
        snapshot = take(address, tmp_path / "state")
        assert ("shop", address, "main", contents(repository)) == (
            snapshot.name,
            snapshot.source,
            snapshot.branch,
            contents(snapshot.tree),
        )
        git(repository, "checkout", "-q", "-b", "topic")
        (repository / "a.txt").write_text("topic\n")
        git(repository, "commit", "-q", "-a", "-m", "topic")
        git(repository, "update-ref", "refs/pull/7/head", "topic")
        git(repository, "checkout", "-q", "main")

        assert (take(address, tmp_path / "state").tree / "a.txt").read_text() == "one\n"
        head = git(repository, "rev-parse", "topic")
        for ref, branch in [("topic", "topic"), ("refs/pull/7/head", None), ("pull/7/head", None), (head, None)]:
            snapshot = take(address, tmp_path / "state", ref=ref)
            assert (branch, "topic\n") == (snapshot.branch, (snapshot.tree / "a.txt").read_text())

    def test_bare_repository(self, repository: Path, tmp_path: Path) -> None:
        """A bare repository is delivered by its address or at a ref, and refused as a folder."""
        git(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")
        shutil.copytree(tmp_path / "bare.git", tmp_path / "bare")

        assert len(take(tmp_path / "bare.git", tmp_path / "state").files) == 4
        assert len(take(tmp_path / "bare", tmp_path / "state", ref="main").files) == 4
        assert "add --ref" in refused(tmp_path / "bare", tmp_path / "state")

    def test_nothing_is_left_of_the_work_tree(self, repository: Path, tmp_path: Path) -> None:
        """The temporary work tree is gone afterwards, also one that a killed run left."""
        slot = take(repository, tmp_path / "state", ref="main").tree.parent
        (mirror,) = (tmp_path / "state" / "mirrors").glob("*.git")
        assert git(mirror, "worktree", "list", "--porcelain").count("worktree ") == 1
        git(mirror, "worktree", "add", "-q", "--detach", str(slot / "checkout"), git(repository, "rev-parse", "main"))
        (mirror / "packed-refs.lock").touch()
        take(repository, tmp_path / "state", ref="main")

        assert not (slot / "checkout").exists()
        assert git(mirror, "worktree", "list", "--porcelain").count("worktree ") == 1

    @pytest.mark.parametrize("is_address", [False, True])
    def test_damaged_mirror(self, repository: Path, tmp_path: Path, *, is_address: bool) -> None:
        """A mirror that a crash of the machine has emptied or cut short is fetched anew."""
        target, ref = (f"file://{repository}", None) if is_address else (str(repository), "main")
        for damage in ("objects", "HEAD", "config"):
            take(target, tmp_path / "state", ref=ref)
            (mirror,) = (tmp_path / "state" / "mirrors").glob("*.git")
            for path in [each for each in mirror.rglob("*") if each.is_file() and damage in each.parts]:
                path.chmod(0o644)
                path.write_bytes(b"")

            assert contents(repository) == contents(take(target, tmp_path / "state", ref=ref).tree)

    def test_linked_work_tree(self, repository: Path, tmp_path: Path) -> None:
        """A linked work tree is a target like any other."""
        git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
        assert take(tmp_path / "side", tmp_path / "state").branch == "side"
        assert take(tmp_path / "side", tmp_path / "state", ref="HEAD").branch == "side"

    def test_two_addresses_at_once(self, repository: Path, tmp_path: Path) -> None:
        """Two runs that fetch the same address at once do not disturb each other."""

        async def open_two() -> tuple[dict[str, tuple[bytes, bool]], ...]:
            async def one() -> dict[str, tuple[bytes, bool]]:
                async with open_snapshot(f"file://{repository}", ref=None, state=tmp_path / "state") as snapshot:
                    return contents(snapshot.tree)

            return tuple(await asyncio.gather(one(), one()))

        assert (contents(repository),) * 2 == asyncio.run(open_two())


class TestRefusals:
    def test_unknown_ref(self, repository: Path, tmp_path: Path) -> None:
        """A ref nobody knows is refused by name, for a folder and for an address."""
        for target in (str(repository), f"file://{repository}"):
            assert f"nope names no commit in {target}" in refused(target, tmp_path / "state", ref="nope")

    def test_folder_not_at_ref(self, repository: Path, tmp_path: Path) -> None:
        """A folder the ref does not have is refused."""
        (repository / "later").mkdir()
        assert "later/ is no folder at main" in refused(repository / "later", tmp_path / "state", ref="main")

    def test_no_repository(self, tmp_path: Path) -> None:
        """What is no repository, no folder or not there at all is refused, each in its own words."""
        (tmp_path / "plain").mkdir()
        (tmp_path / "file").write_text("x")
        state = tmp_path / "state"

        assert "is not a git repository: run git init" in refused(tmp_path / "plain", state)
        assert "is not a folder" in refused(tmp_path / "file", state)
        assert "does not exist" in refused(tmp_path / "gone", state)
        assert "does not exist" in refused("ext::sh -c true", state)
        assert "does not exist" in refused("a\nb", state)

    def test_empty_address(self, tmp_path: Path) -> None:
        """An address without commits is refused."""
        git(tmp_path, "init", "-q", "--bare", "empty.git")
        assert "has no commits yet" in refused(tmp_path / "empty.git", tmp_path / "state")

    def test_unreachable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An address that does not answer is a temporary failure and never shows credentials."""
        monkeypatch.setenv("no_proxy", "*")
        with pytest.raises(TemporaryFailure) as caught:
            take("https://user:hunter2@127.0.0.1:1/x.git", tmp_path / "state")

        assert "https://***@127.0.0.1:1/x.git could not be reached" in str(caught.value)
        assert "hunter2" not in str(caught.value)

    def test_no_git(self, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine without git is told to install it."""
        monkeypatch.setenv("PATH", str(tmp_path))
        assert "install git" in refused(repository, tmp_path / "state")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
    def test_dubious_ownership(self, repository: Path, tmp_path: Path) -> None:
        """A repository of another user is refused with the command that trusts it."""
        os.chown(repository, 12345, 12345)
        os.chown(repository / ".git", 12345, 12345)
        for ref in (None, "main"):
            assert f"safe.directory '{repository}'" in refused(repository, tmp_path / "state", ref=ref)
