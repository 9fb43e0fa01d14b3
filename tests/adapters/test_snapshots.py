"""Snapshots of real repositories: the copy is the target, and the target is left alone."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.adapters import snapshots
from tasks.adapters.snapshots import open_snapshot
from tests.adapters.real_git import contents, git, refused, take

ROOT = Path(snapshots.__file__).parents[2]


class TestFolder:
    def test_everything_git_would_commit(self, repository: Path, tmp_path: Path) -> None:
        """The tree holds tracked and untracked files, as they are in the work tree, and no ignored ones."""
        (repository / "a.txt").write_text("changed\n")
        (repository / "new.txt").write_text("new\n")
        (repository / "x.log").write_text("ignored\n")
        snapshot = take(repository, tmp_path / "state")

        expected = contents(repository)
        del expected["x.log"]
        assert expected == contents(snapshot.tree)
        assert expected.keys() == snapshot.files.keys()
        assert ("shop", str(repository), "main", True) == (
            snapshot.name,
            snapshot.source,
            snapshot.branch,
            snapshot.is_dirty,
        )
        assert git(repository, "rev-parse", "HEAD") == snapshot.revision
        assert snapshot.notes == ()
        assert snapshot.caches.is_dir()
        assert snapshot.environments.is_dir()

    def test_target_is_left_alone(self, repository: Path, tmp_path: Path) -> None:
        """Neither the target's files nor anything inside its .git is written, with and without a ref."""
        os.utime(repository / "a.txt")  # what makes `git status` want to refresh the index

        def state_of_all() -> dict[str, int]:
            return {str(path): path.lstat().st_mtime_ns for path in repository.rglob("*")}

        before = state_of_all()
        take(repository, tmp_path / "state")
        take(repository, tmp_path / "state", ref="main")

        assert before == state_of_all()

    def test_clean(self, repository: Path, tmp_path: Path) -> None:
        """A work tree that equals its commit is clean, and a missing tracked file makes it dirty."""
        assert not take(repository, tmp_path / "state").is_dirty
        (repository / "a.txt").unlink()
        snapshot = take(repository, tmp_path / "state")
        assert snapshot.is_dirty
        assert "a.txt" not in snapshot.files

    def test_part_of_a_repository(self, repository: Path, tmp_path: Path) -> None:
        """A folder inside a repository is a target of its own, also at a ref, and also through a symlink."""
        (repository / "a.txt").write_text("changed\n")
        (tmp_path / "link").symlink_to(repository / "sub")
        for target, ref in [(repository / "sub", None), (repository / "sub", "main"), (tmp_path / "link", None)]:
            snapshot = take(target, tmp_path / "state", ref=ref)
            assert (list(snapshot.files), snapshot.is_dirty) == (["b.txt"], False)

    def test_no_commits(self, tmp_path: Path) -> None:
        """A repository without commits is taken as it stands."""
        (tmp_path / "new").mkdir()
        git(tmp_path / "new", "init", "-q", "-b", "main")
        (tmp_path / "new" / "a").write_text("x")
        snapshot = take(tmp_path / "new", tmp_path / "state")

        assert (
            snapshot.revision,
            snapshot.branch,
            snapshot.is_dirty,
            list(snapshot.files),
        ) == ("uncommitted", "main", True, ["a"])

    def test_detached(self, repository: Path, tmp_path: Path) -> None:
        """A detached head is on no branch."""
        git(repository, "checkout", "-q", "--detach")
        assert take(repository, tmp_path / "state").branch is None

    def test_relative_and_dashed_target(
        self, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A target may be relative, and one that begins with a dash is never an option."""
        repository.rename(tmp_path / "--help")
        monkeypatch.chdir(tmp_path)
        assert len(take("--help", tmp_path / "state").files) == 4
        assert "-u does not exist" in refused("-u", tmp_path / "state")
        assert "--all names no commit" in refused("--help", tmp_path / "state", ref="--all")

    def test_hook_environment(self, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A snapshot taken inside another repository's git hook is still of its own target."""
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
        assert len(take(repository, tmp_path / "state").files) == 4

    def test_no_program_of_the_target_runs(self, repository: Path, tmp_path: Path) -> None:
        """Hooks and monitors configured in the target are not run."""
        trap = repository / ".git" / "hooks" / "post-checkout"
        trap.write_text(f"#!/bin/sh\ntouch '{tmp_path}/trapped'\n")
        trap.chmod(0o755)
        git(repository, "config", "core.fsmonitor", str(trap))
        git(repository, "config", "core.hooksPath", str(trap.parent))
        take(repository, tmp_path / "state")
        take(repository, tmp_path / "state", ref="main")

        assert not (tmp_path / "trapped").exists()


class TestNames:
    def test_any_bytes(self, repository: Path, tmp_path: Path) -> None:
        """Names may hold spaces, line breaks, Unicode and bytes that are no text."""
        for name in ("with space", "line\nbreak", "töpf ✓", "no\udcfftext", '"quoted"', "-dash"):
            (repository / name).write_text(name, errors="surrogateescape")
        git(repository, "add", ".")
        (repository / "un\udcfetracked\n").write_text("x")
        snapshot = take(repository, tmp_path / "state")

        assert contents(repository) == contents(snapshot.tree)
        assert contents(repository) == contents(take(repository, tmp_path / "state").tree)

    def test_symlinks(self, repository: Path, tmp_path: Path) -> None:
        """Symlinks that stay inside are kept; those that lead outside are left out and named."""
        inside = {"good": "a.txt", "sub/up": "../a.txt", "dangling": "nowhere", "folder": "sub"}
        outside = {"abs": "/etc/passwd", "up": "../secret", "sub/upper": "../../secret", "wind": "folder/../../secret"}
        for path, target in (inside | outside).items():
            (repository / path).symlink_to(target)
        snapshot = take(repository, tmp_path / "state")

        assert set(inside) == {path for path in snapshot.files if (snapshot.tree / path).is_symlink()}
        assert set() == set(outside) & set(snapshot.files)
        assert [f"symlink {path} leads out of the target and was left out" for path in sorted(outside)] == list(
            snapshot.notes
        )

    def test_folder_turned_symlink(self, repository: Path, tmp_path: Path) -> None:
        """Tracked files are not read through a symlink that took their folder's place."""
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "b.txt").write_text("secret\n")
        shutil.rmtree(repository / "sub")
        (repository / "sub").symlink_to(tmp_path / "outside")
        snapshot = take(repository, tmp_path / "state")

        assert {".gitignore", "a.txt", "run.sh"} == snapshot.files.keys() == contents(snapshot.tree).keys()

    def test_special_files(self, repository: Path, tmp_path: Path) -> None:
        """A pipe in the work tree is no file and does not hang the run."""
        os.mkfifo(repository / "pipe")
        assert "pipe" not in take(repository, tmp_path / "state").files

    def test_lfs_pointers(self, repository: Path, tmp_path: Path) -> None:
        """Pointers that stand for content are counted and the remedy named, on every run."""
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
        (repository / "big.bin").write_text(pointer)
        expected = ("1 files are Git LFS pointers, not their content: git lfs pull",)

        assert expected == take(repository, tmp_path / "state").notes
        assert expected == take(repository, tmp_path / "state").notes

    def test_submodules(self, repository: Path, tmp_path: Path) -> None:
        """A submodule's files are part of the tree once it is checked out, else it is named with the remedy."""
        outer = tmp_path / "outer"
        outer.mkdir()
        git(outer, "init", "-q", "-b", "main")
        git(outer, "submodule", "--quiet", "add", str(repository), "part")
        git(outer, "commit", "-q", "-m", "with a part")
        snapshot = take(outer, tmp_path / "state")
        assert {".gitmodules", "part/a.txt", "part/run.sh", "part/.gitignore", "part/sub/b.txt"} == set(snapshot.files)

        git(outer, "submodule", "--quiet", "deinit", "--all")
        snapshot = take(outer, tmp_path / "state")
        assert {".gitmodules"} == set(snapshot.files)
        assert snapshot.notes == ("submodule part is not checked out and was left out: git submodule update --init",)

    def test_nested_repository(self, repository: Path, tmp_path: Path) -> None:
        """A repository that merely lies inside is named and left out."""
        (repository / "inner").mkdir()
        git(repository / "inner", "init", "-q")
        (repository / "inner" / "x").write_text("x")
        assert take(repository, tmp_path / "s").notes == ("inner/ is a git repository of its own and was left out",)


class TestSlots:
    def test_two_at_once(self, repository: Path, tmp_path: Path) -> None:
        """Two runs at once have slots of their own, and a later run has the first again."""

        async def open_two() -> tuple[Path, Path]:
            async with (
                open_snapshot(str(repository), ref=None, state=tmp_path / "state") as one,
                open_snapshot(str(repository), ref=None, state=tmp_path / "state") as other,
            ):
                return one.tree, other.tree

        one, other = asyncio.run(open_two())

        assert one != other
        assert contents(one) == contents(other)
        assert one == take(repository, tmp_path / "state").tree

    @pytest.mark.parametrize("ref", [None, "main"])
    def test_what_a_tool_did_is_undone(self, repository: Path, tmp_path: Path, ref: str | None) -> None:
        """Files a tool changed, added, removed or replaced are as they were; environments are left alone."""
        tree = take(repository, tmp_path / "state", ref=ref).tree
        before = contents(tree)
        (tree / "a.txt").write_text("formatted")
        (tree / "run.sh").unlink()
        (tree / ".gitignore").chmod(0o755)
        (tree / "built" / "deep").mkdir(parents=True)
        (tree / "built" / "deep" / "x").write_text("x")
        (tree / "node_modules" / "left").mkdir(parents=True)
        (tmp_path / "outside").mkdir()
        shutil.rmtree(tree / "sub")
        (tree / "sub").symlink_to(tmp_path / "outside")
        take(repository, tmp_path / "state", ref=ref)

        assert before == contents(tree)
        assert not (tree / "built").exists()
        assert (tree / "node_modules" / "left").is_dir()
        assert list((tmp_path / "outside").iterdir()) == []

    def test_same_ref_again(self, repository: Path, tmp_path: Path) -> None:
        """A ref the slot holds still is not checked out again, and what there is to say of it is said again."""
        (repository / "out").symlink_to("/etc/passwd")
        git(repository, "add", "out")
        git(repository, "commit", "-q", "-m", "second")
        first = take(repository, tmp_path / "state", ref="main")
        (first.tree / "left behind").write_text("x")
        second = take(repository, tmp_path / "state", ref="main")

        assert second == first
        assert second.notes == ("symlink out leads out of the target and was left out",)
        assert contents(second.tree).keys() == second.files.keys()

    def test_linked_copies_are_not_written_through(self, repository: Path, tmp_path: Path) -> None:
        """A file a tool linked into a store of its own keeps the content it had there."""
        tree = take(repository, tmp_path / "state").tree
        os.link(tree / "a.txt", tmp_path / "store")
        (repository / "a.txt").write_text("changed\n")
        take(repository, tmp_path / "state")

        assert ((tmp_path / "store").read_text(), (tree / "a.txt").read_text()) == ("one\n", "changed\n")

    @pytest.mark.parametrize("ref", [None, "main"])
    def test_unchanged_files_are_not_touched(self, repository: Path, tmp_path: Path, ref: str | None) -> None:
        """Equal content keeps its file and modification time, for the sake of the tools' caches."""
        tree = take(repository, tmp_path / "state", ref=ref).tree
        before = (tree / "a.txt").stat()
        (repository / "run.sh").write_text("#!/bin/sh\ntrue\n")
        git(repository, "commit", "-q", "-a", "-m", "second")
        os.utime(repository / "a.txt")
        after = (take(repository, tmp_path / "state", ref=ref).tree / "a.txt").stat()

        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
        assert (tree / "run.sh").read_text() == "#!/bin/sh\ntrue\n"

    @pytest.mark.parametrize(
        "manifest", [None, "", "{", "[]", '{"version": 1, "files": {"a.txt": [1]}}', '{"version": 7}']
    )
    def test_broken_manifest(self, repository: Path, tmp_path: Path, manifest: str | None) -> None:
        """Without a manifest that can be read everything is compared by content."""
        tree = take(repository, tmp_path / "state").tree
        before = contents(tree)
        (tree / "a.txt").write_text("ONE\n")
        path = tree.parent / "manifest.json"
        path.unlink() if manifest is None else path.write_text(manifest)
        take(repository, tmp_path / "state")

        assert before == contents(tree)

    def test_killed_in_the_middle(self, tmp_path: Path) -> None:
        """A sync killed with -9 leaves a slot that the next run takes and repairs."""
        repository = tmp_path / "many"
        repository.mkdir()
        git(repository, "init", "-q")
        for number in range(400):
            (repository / f"{number}").write_text(f"{number}\n" * 5000)
        script = (
            "import asyncio, sys; from pathlib import Path; from tasks.adapters.snapshots import open_snapshot\n"
            "async def main():\n"
            "    async with open_snapshot(sys.argv[1], ref=None, state=Path(sys.argv[2])): await asyncio.sleep(60)\n"
            "asyncio.run(main())"
        )
        (slot,) = [tmp_path / "state" / "targets" / f"many-{snapshots._short_hash(str(repository))}" / "slot-0"]
        with subprocess.Popen(
            [sys.executable, "-c", script, repository, tmp_path / "state"], env=os.environ | {"PYTHONPATH": str(ROOT)}
        ) as running:
            until(lambda: (slot / "tree" / "1").exists())
            running.send_signal(signal.SIGKILL)
        assert not (slot / "manifest.json").exists()
        snapshot = take(repository, tmp_path / "state")

        assert slot / "tree" == snapshot.tree
        assert contents(repository) == contents(snapshot.tree)

    def test_cancelled(self, repository: Path, tmp_path: Path) -> None:
        """A cancelled opening leaves the slot free for the next run."""

        async def cancel_at_once() -> None:
            async def hold() -> None:
                async with open_snapshot(str(repository), ref=None, state=tmp_path / "state"):
                    await asyncio.Event().wait()

            task = asyncio.create_task(hold())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancel_at_once())

        assert take(repository, tmp_path / "state").tree.parent.name == "slot-0"

    def test_unwritable_state(self, repository: Path, tmp_path: Path) -> None:
        """A state folder that cannot be written is named."""
        (tmp_path / "state").write_text("a file")
        assert f"{tmp_path}/state" in refused(repository, tmp_path / "state")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.001)


PATHS = ["a", "b", "d/a", "d/e/c", "ü\udcff", "x y"]
EDIT = st.tuples(
    st.sampled_from(["write", "write", "delete", "rename", "mode", "link", "stage", "commit", "sync", "tool"]),
    st.sampled_from(PATHS),
    st.sampled_from(PATHS),
    st.sampled_from(["", "one", "two", "three\n"]),
)


class TestLaw:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(edits=st.lists(EDIT, max_size=12))
    def test_tree_equals_work_tree(self, edits: list[tuple[str, str, str, str]]) -> None:
        """Whatever was done to the work tree or to the copy, the next snapshot equals what git lists."""
        with tempfile.TemporaryDirectory() as folder:
            repository, state = Path(folder, "r"), Path(folder, "state")
            repository.mkdir()
            git(repository, "init", "-q")
            for edit in edits:
                apply(repository, state, *edit)
            snapshot = take(repository, state)

            listed = git(repository, "ls-files", "-z", "-c", "-o", "--exclude-standard").split("\0")
            expected = {path: each for path, each in contents(repository).items() if path in listed}
            assert expected == contents(snapshot.tree)
            assert expected.keys() == snapshot.files.keys()


def apply(repository: Path, state: Path, action: str, path: str, other: str, text: str) -> None:
    one, two = repository / path, repository / other
    try:
        match action:
            case "write":
                one.parent.mkdir(parents=True, exist_ok=True)
                one.write_text(text)
            case "delete":
                one.unlink()
            case "rename":
                two.parent.mkdir(parents=True, exist_ok=True)
                one.rename(two)
            case "mode":
                one.chmod(0o755 if text else 0o644)
            case "link":
                one.symlink_to("a")
            case "stage":
                git(repository, "add", "-A")
            case "commit":
                git(repository, "commit", "-q", "--allow-empty", "-a", "-m", "x")
            case "sync":
                take(repository, state)
            case "tool":
                apply(take(repository, state).tree, state, "write", path, other, text)
    except OSError:
        return  # The edit made no sense here, as edits do not always.
