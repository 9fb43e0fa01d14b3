"""A pull request's facts from real repositories: every kind of change, and branches that do not fit together."""

import asyncio
import os
from pathlib import Path

import pytest

from tasks.adapters.git import TargetRefused
from tasks.adapters.pull_requests import PullRequest, read_pull_request
from tasks.core.pull_requests.change import ChangedFile, ChangeKind, Span
from tests.adapters.real_git import contents, git


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, {"a.py": "one\ntwo\nthree\n", "b.txt": "b\n", "old name.txt": "same\n" * 20})
    return folder


def commit(folder: Path, files: dict[str, str | bytes | None], message: str = "change") -> str:
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def topic(folder: Path, files: dict[str, str | bytes | None], message: str = "change") -> str:
    git(folder, "checkout", "--quiet", "-B", "topic", "main")
    return commit(folder, files, message)


def read(folder: Path, *, base: str = "main", head: str = "HEAD") -> PullRequest:
    commit_of_head = git(folder, "rev-parse", head)
    return asyncio.run(
        read_pull_request(folder, base=base, head=commit_of_head, head_branch="topic", target=str(folder))
    )


def only(pull: PullRequest) -> ChangedFile:
    (file,) = pull.change.files
    return file


def test_lines_and_kinds(repository: Path) -> None:
    """Added, changed and deleted files have their lines, also under names with spaces, quotes and Unicode."""
    name = 'mit "Zitat" und äöü\t文.py'
    topic(repository, {"a.py": "one\nTWO\nthree\nfour\n", name: "x\ny\n", "b.txt": None})
    files = {file.path: file for file in read(repository).change.files}

    assert files["a.py"].added == (Span(2, 2), Span(4, 4))
    assert (files["a.py"].added_lines, files["a.py"].deleted_lines) == (2, 1)
    assert (files[name].kind, files[name].added, files[name].size_bytes) == (ChangeKind.ADDED, (Span(1, 2),), 4)
    assert (files["b.txt"].kind, files["b.txt"].deleted_lines) == (ChangeKind.DELETED, 1)


def test_rename_only(repository: Path) -> None:
    """A file that only moved changes no line and keeps its old name."""
    git(repository, "checkout", "--quiet", "-b", "topic")
    git(repository, "mv", "old name.txt", "ñew name.txt")
    commit(repository, {})
    file = only(read(repository))

    assert (file.kind, file.path, file.old_path) == (ChangeKind.RENAMED, "ñew name.txt", "old name.txt")
    assert file.changed_lines == 0


def test_an_empty_pull_request(repository: Path) -> None:
    """A branch that is where its base is changes nothing and merges."""
    pull = read(repository)

    assert (pull.change.files, pull.change.subjects) == ((), ())
    assert asyncio.run(pull.try_merge()) == ()


def test_a_binary(repository: Path) -> None:
    """A binary has a size and no lines."""
    topic(repository, {"logo.png": b"\x89PNG\0\0" * 100})
    file = only(read(repository))

    assert (file.is_binary, file.changed_lines, file.size_bytes) == (True, 0, 600)


def test_a_file_that_becomes_a_link(repository: Path) -> None:
    """A change of type is one file, and those after it keep their own lines."""
    git(repository, "checkout", "--quiet", "-b", "topic")
    (repository / "a.py").unlink()
    (repository / "a.py").symlink_to("b.txt")
    commit(repository, {"b.txt": "b\nc\n", "c.txt": "x\n"})
    files = {file.path: file for file in read(repository).change.files}

    assert files["a.py"].kind is ChangeKind.RETYPED
    assert files["b.txt"].added == (Span(2, 2),)
    assert files["c.txt"].added == (Span(1, 1),)


def test_a_line_that_looks_like_a_patch(repository: Path) -> None:
    """Content that looks like a patch's header or hunk is content."""
    topic(repository, {"a.py": "one\ntwo\nthree\n++ b/x\n-- a/y\ndiff --git a/x b/x\n@@ -1 +1 @@\n", "z.txt": "z\n"})
    files = {file.path: file for file in read(repository).change.files}

    assert files["a.py"].added == (Span(4, 7),)
    assert files["z.txt"].added == (Span(1, 1),)


def test_merge_commits(repository: Path) -> None:
    """What came from the base by a merge is not the pull request's, and a merge is none of its subjects."""
    topic(repository, {"t.txt": "t\n"}, "feat: mine")
    git(repository, "checkout", "--quiet", "main")
    commit(repository, {"m.txt": "m\n"}, "feat: theirs")
    git(repository, "checkout", "--quiet", "topic")
    git(repository, "merge", "--quiet", "--no-edit", "main")
    change = read(repository).change

    assert [file.path for file in change.files] == ["t.txt"]
    assert change.subjects == ("feat: mine",)


def test_the_base_has_moved_on(repository: Path) -> None:
    """What others did on the base since is not laid at the pull request's door."""
    topic(repository, {"t.txt": "t\n"})
    git(repository, "checkout", "--quiet", "main")
    commit(repository, {"a.py": "other\n"})
    change = read(repository, head="topic").change

    assert [file.path for file in change.files] == ["t.txt"]
    assert change.start != change.base


def test_a_rewritten_base(repository: Path) -> None:
    """After a force-push of the base, the change is what the two do not share."""
    topic(repository, {"t.txt": "t\n"})
    git(repository, "checkout", "--quiet", "main")
    git(repository, "commit", "--quiet", "--amend", "--message", "other")
    change = read(repository, head="topic").change

    assert (change.start, [file.path for file in change.files]) == ("", ["t.txt"])


def test_no_common_commit(repository: Path) -> None:
    """Unrelated histories are compared as they stand, and no merge is tried."""
    git(repository, "checkout", "--quiet", "--orphan", "topic")
    commit(repository, {"t.txt": "t\n"})
    pull = read(repository)

    assert pull.change.start == ""
    assert [file.path for file in pull.change.files] == ["t.txt"]
    assert asyncio.run(pull.try_merge()) is None


@pytest.mark.parametrize("base", ["nowhere", "-x", "", "HEAD..main"])
def test_no_base(repository: Path, base: str) -> None:
    """A base that names no commit is refused in one line."""
    with pytest.raises(TargetRefused, match=r"^--base [^\n]*names no commit of [^\n]*$"):
        read(repository, base=base)


def test_a_base_known_from_the_remote_only(repository: Path, tmp_path: Path) -> None:
    """A clone that has no branch of the base's name takes the remote's."""
    topic(repository, {"t.txt": "t\n"})
    git(tmp_path, "clone", "--quiet", str(repository), "clone")
    change = read(tmp_path / "clone").change

    assert (change.base, change.base_branch) == (git(repository, "rev-parse", "main"), "main")


def test_conflicts_name_files_and_commits(repository: Path) -> None:
    """The files that do not merge are named, and the base's commits that touch them, and nothing is written."""
    topic(repository, {"a.py": "one\nmine\nthree\n", "ü x.txt": "mine\n"})
    git(repository, "checkout", "--quiet", "main")
    commit(repository, {"a.py": "one\ntheirs\nthree\n", "ü x.txt": "theirs\n"}, "feat: theirs")
    commit(repository, {"c.txt": "c\n"}, "feat: unrelated")
    before = contents(repository / ".git")
    pull = read(repository, head="topic")
    conflicts = asyncio.run(pull.try_merge())
    assert conflicts is not None
    commits = asyncio.run(pull.commits_of_base([each.path for each in conflicts]))

    assert [each.path for each in conflicts] == ["a.py", "ü x.txt"]
    assert "content" in conflicts[0].message
    assert [line.partition(" ")[2] for line in commits] == ["feat: theirs"]
    assert contents(repository / ".git") == before


def test_a_merge_that_git_makes_by_itself(repository: Path) -> None:
    """Both sides may change one file where git can merge it."""
    topic(repository, {"old name.txt": "first\n" + "same\n" * 20})
    git(repository, "checkout", "--quiet", "main")
    commit(repository, {"old name.txt": "same\n" * 20 + "last\n"})

    assert asyncio.run(read(repository, head="topic").try_merge()) == ()


def test_markers_that_were_left(repository: Path) -> None:
    """Markers of a conflict are found at their lines; a heading underlined with equals signs is none."""
    topic(repository, {"a.py": "one\n<<<<<<< HEAD\ntwo\n=======\nzwei\n>>>>>>> x\n", "doc.rst": "Heading\n=======\n"})
    files = {file.path: file for file in read(repository).change.files}

    assert files["a.py"].markers == (2, 4, 6)
    assert files["doc.rst"].markers == ()


def test_linguist_attributes(repository: Path) -> None:
    """Generated and vendored files are those that the base's .gitattributes say, negations too; not the head's."""
    attributes = "*.gen.py linguist-generated\nlib/** linguist-vendored=true\nlib/own.js -linguist-vendored\n"
    (repository / ".gitattributes").write_text(attributes)
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "attributes")
    lax = {".gitattributes": f"{attributes}b.py linguist-generated\n"}
    topic(repository, {**lax, "x ü.gen.py": "", "lib/a.js": "", "lib/own.js": "", "b.py": "\n"})
    found = {file.path: (file.is_generated, file.is_vendored) for file in read(repository).change.files}

    assert found["x ü.gen.py"] == (True, False)
    assert found["lib/a.js"] == (False, True)
    assert found["lib/own.js"] == (False, False)
    assert found["b.py"] == (False, False)


def test_both_sides_of_a_file(repository: Path) -> None:
    """The contents of a changed file are those of the base and of the head."""
    topic(repository, {"a.py": "new\n", "c.py": "c\n"})
    blobs = asyncio.run(read(repository).blobs(["a.py", "c.py"]))

    assert (blobs["a.py"].base, blobs["a.py"].head) == ("one\ntwo\nthree\n", "new\n")
    assert (blobs["c.py"].base, blobs["c.py"].head) == ("", "c\n")


def test_the_bases_own_files(repository: Path) -> None:
    """A file of the base is read as it is there, not as the pull request has it."""
    topic(repository, {"b.txt": "mine\n"})
    pull = read(repository)

    assert asyncio.run(pull.base_file("absent", "b.txt")) == ("b.txt", "b\n")
    assert asyncio.run(pull.base_file("absent")) == ("", "")


def test_a_name_that_is_no_unicode(repository: Path) -> None:
    """A name in another encoding is shown escaped."""
    git(repository, "checkout", "--quiet", "-b", "topic")
    (repository / os.fsdecode(b"caf\xe9.py")).write_text("x\n")
    commit(repository, {})

    assert only(read(repository)).path == "caf\\xe9.py"


def test_three_thousand_files(repository: Path) -> None:
    """A pull request of three thousand files is read whole."""
    topic(repository, {f"src/{number // 100}/ü {number}.py": f"x = {number}\n" for number in range(3000)})
    pull = read(repository)

    assert len(pull.change.files) == 3000
    assert all(file.added == (Span(1, 1),) for file in pull.change.files)
    assert len(asyncio.run(pull.blobs([file.path for file in pull.change.files]))) == 3000
