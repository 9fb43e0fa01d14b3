"""The facts of a pull request from git: its files and lines, a trial merge, and the base's own files.

Nothing is written to the repository asked about: the trial merge puts its objects into a folder that is thrown away,
and attributes are read through an index of our own. No program that the repository names for diffs is started.
"""

import asyncio
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.adapters.git import GitError, TargetRefused, git, line_of, mask, refusal, resolve
from tasks.adapters.snapshots import mirror_of, origin_of
from tasks.core.pull_requests.change import Change, ChangedFile, ChangeKind, Span
from tasks.core.pull_requests.conflicts import Conflict, read_merge

_DIFF = (
    "diff",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--find-renames",
    "--full-index",
    "--submodule=short",
)
_SUBJECTS = 100
_BLOB_BYTES = 4 << 20
_KINDS = {
    "A": ChangeKind.ADDED,
    "D": ChangeKind.DELETED,
    "M": ChangeKind.MODIFIED,
    "R": ChangeKind.RENAMED,
    "C": ChangeKind.COPIED,
    "T": ChangeKind.RETYPED,
}
_HUNK = re.compile(rb"^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_MARKER = re.compile(rb"^\+(<{7} |={7}$|>{7} |\|{7} )")
_OPENING = re.compile(rb"^\+(<{7} |>{7} )")


@dataclass(frozen=True)
class Blobs:
    """The contents of a changed file on both sides, empty where it is not there."""

    base: str
    head: str


@dataclass(frozen=True)
class _Entry:
    """A line of `git diff --raw`, names still as git has them."""

    kind: ChangeKind
    base_blob: str
    head_blob: str
    mode: str
    path: bytes
    old_path: bytes = b""


class PullRequest:
    """One pull request in a repository on this machine, which may be bare."""

    def __init__(self, directory: Path, change: Change, entries: tuple[_Entry, ...]) -> None:
        self.directory = directory
        self.change = change
        self._entries = {shown(entry.path): entry for entry in entries}

    async def base_file(self, *names: str) -> tuple[str, str]:
        """The first of these files that the base has, by name and text; empty words where it has none."""
        for name in names:
            with suppress(GitError):
                text = await git("cat-file", "blob", f"{self.change.base}:{name}", directory=self.directory)
                return name, text.decode("utf-8", "replace")
        return "", ""

    async def blobs(self, paths: Iterable[str]) -> Mapping[str, Blobs]:
        """Both sides of changed files, of those that are no larger than a person would write."""
        wanted = {path: self._entries[path] for path in paths}
        oids = [oid for each in wanted.values() for oid in (each.base_blob, each.head_blob) if oid.strip("0")]
        texts = await self._contents(dict.fromkeys(oids))
        return {
            path: Blobs(texts.get(each.base_blob, ""), texts.get(each.head_blob, "")) for path, each in wanted.items()
        }

    async def _contents(self, oids: Iterable[str]) -> dict[str, str]:
        asked = "".join(f"{oid}\n" for oid in oids).encode()
        told = await git("cat-file", "--batch", directory=self.directory, stdin=asked)
        return {oid: content.decode("utf-8", "replace") for oid, content in _batch(told) if len(content) <= _BLOB_BYTES}

    async def try_merge(self) -> tuple[Conflict, ...] | None:
        """What does not merge into the base; None where the two have no commit in common. Raises GitError."""
        if not self.change.start:
            return None
        common = await line_of("rev-parse", "--path-format=absolute", "--git-common-dir", directory=self.directory)
        with tempfile.TemporaryDirectory(prefix="towpath-merge-") as objects:
            told = await git(
                *("merge-tree", "--write-tree", "-z", "--messages", self.change.base, self.change.head),
                directory=self.directory,
                environment={
                    "GIT_OBJECT_DIRECTORY": objects,
                    "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(Path(common, "objects")),
                },
                exit_codes=frozenset({0, 1}),
            )
        return read_merge(shown(told))

    async def commits_of_base(self, paths: Iterable[str]) -> tuple[str, ...]:
        """The base's commits since the two parted that touch these files, the newest first."""
        span = f"{self.change.start}..{self.change.base}"
        asked = ("log", "-5", "--format=%h %s", span, "--", *(f":(literal,top){path}" for path in paths))
        told = await git(*asked, directory=self.directory)
        return tuple(f"{line[:100]!r}".strip("'") for line in shown(told).splitlines())


def shown(name: bytes) -> str:
    """A name fit for reports: UTF-8, what is none escaped."""
    return name.decode("utf-8", "backslashreplace")


def _batch(told: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(told):
        end = told.index(b"\n", at)
        words = told[at:end].decode().split()
        at = end + 1
        if len(words) == 3:
            size = int(words[2])
            if words[1] == "blob":
                yield words[0], told[at : at + size]
            at += size + 1
        else:
            raise GitError(errors=f"fatal: {' '.join(words)}: git fetch brings what a shallow or partial clone lacks")


async def repository_of(target: str, *, state: Path) -> Path:
    """Where the commits of a target can be asked for; of an address, the mirror must be there. Raises TargetRefused."""
    source, is_address = origin_of(target)
    return mirror_of(source, state=state) if is_address else Path(source)


async def top_of(target: str) -> str:
    """The whole repository that a folder lies in, since a pull request is of all of it; an address as it is."""
    source, is_address = origin_of(target)
    if is_address:
        return target
    try:
        return await line_of("rev-parse", "--show-toplevel", directory=Path(source)) or source
    except GitError as failure:
        raise refusal(failure, target) from failure


async def read_pull_request(directory: Path, *, base: str, head: str, head_branch: str, target: str) -> PullRequest:
    """The change from where the two parted to the head, a commit. Raises TargetRefused."""
    tip = await _base_commit(directory, base, target)
    try:
        start = ""
        with suppress(GitError):
            start = await line_of("merge-base", tip, head, directory=directory)
        entries = await _entries(directory, start or tip, head)
        files, subjects = await asyncio.gather(
            _files(directory, start or tip, head, entries), _subjects(directory, tip, head)
        )
    except GitError as failure:
        raise refusal(failure, target) from failure
    branch = base.removeprefix("refs/heads/").removeprefix("origin/")
    change = Change(
        base=tip,
        head=head,
        start=start,
        base_branch="" if re.fullmatch(r"[0-9a-f]{40}", branch) else branch,
        head_branch=head_branch,
        files=files,
        subjects=subjects,
    )
    return PullRequest(directory, change, entries)


async def _base_commit(directory: Path, base: str, target: str) -> str:
    for name in (base, f"origin/{base}"):
        with suppress(GitError):
            return (await resolve(name, directory=directory))[0]
    raise TargetRefused(f"--base {base} names no commit of {mask(target)}: git branch --all shows what there is")


async def _subjects(directory: Path, base: str, head: str) -> tuple[str, ...]:
    told = await git("log", f"-{_SUBJECTS}", "--no-merges", "--format=%s", f"{base}..{head}", directory=directory)
    return tuple(shown(told).splitlines())


async def _entries(directory: Path, start: str, head: str) -> tuple[_Entry, ...]:
    told = await git(*_DIFF, "--raw", "--no-abbrev", "-z", start, head, "--", directory=directory)
    words = iter(told.split(b"\0"))
    return tuple(_entry(word, words) for word in words if word.startswith(b":"))


def _entry(word: bytes, words: Iterator[bytes]) -> _Entry:
    _, mode, base_blob, head_blob, status = word.decode().split()
    kind = _KINDS[status[0]]
    first = next(words)
    if kind in (ChangeKind.RENAMED, ChangeKind.COPIED):
        return _Entry(kind, base_blob, head_blob, mode, next(words), first)
    return _Entry(kind, base_blob, head_blob, mode, first)


async def _files(directory: Path, start: str, head: str, entries: tuple[_Entry, ...]) -> tuple[ChangedFile, ...]:
    patch, sizes, attributes = await asyncio.gather(
        git(*_DIFF, "--unified=0", start, head, "--", directory=directory),
        _sizes(directory, entries),
        _attributes(directory, start, entries),
    )
    sections = _sections(patch)
    found = []
    for entry in entries:
        # NOTE: of a file that became a link or the other way round, git writes a deletion and an addition.
        parts = [next(sections, b"") for _ in range(2 if entry.kind is ChangeKind.RETYPED else 1)]
        file = _file(entry, b"\n".join(parts))
        marks = attributes.get(entry.path, frozenset())
        found.append(
            replace(
                file,
                size_bytes=sizes.get(entry.head_blob, 0),
                is_generated="linguist-generated" in marks,
                is_vendored="linguist-vendored" in marks,
            )
        )
    return tuple(found)


def _sections(patch: bytes) -> Iterator[bytes]:
    """Each file's part of a patch, in the order of `--raw`; no line of a file's content can begin one."""
    lines: list[bytes] = []
    for line in patch.split(b"\n"):
        if line.startswith(b"diff --git ") and lines:
            yield b"\n".join(lines)
            lines = []
        lines.append(line)
    if patch:
        yield b"\n".join(lines)


def _file(entry: _Entry, section: bytes) -> ChangedFile:
    added: list[Span] = []
    markers: list[int] = []
    deleted, at, has_opening, is_binary, is_header = 0, 0, False, False, True
    for line in section.split(b"\n"):
        if hunk := _HUNK.match(line):
            is_header = False
            deleted += int(hunk[1] or 1)
            count, at = int(hunk[3] or 1), int(hunk[2])
            added += [Span(at, at + count - 1)] if count else []
        elif line.startswith(b"+") and not is_header:
            if _MARKER.match(line.rstrip(b"\r")):
                markers.append(at)
                has_opening = has_opening or bool(_OPENING.match(line))
            at += 1
        elif is_header and line.startswith((b"Binary files ", b"GIT binary patch")):
            is_binary = True
        elif line.startswith(b"diff --git "):
            is_header = True
    return ChangedFile(
        path=shown(entry.path),
        kind=entry.kind,
        old_path=shown(entry.old_path),
        added=tuple(added),
        deleted_lines=deleted,
        # NOTE: a row of equals signs alone is a heading in many kinds of text.
        markers=tuple(markers) if has_opening else (),
        is_binary=is_binary,
    )


async def _sizes(directory: Path, entries: tuple[_Entry, ...]) -> dict[str, int]:
    oids = dict.fromkeys(each.head_blob for each in entries if each.head_blob.strip("0") and each.mode != "160000")
    told = await git(
        "cat-file", "--batch-check", directory=directory, stdin="".join(f"{oid}\n" for oid in oids).encode()
    )
    rows = [line.split() for line in told.decode().splitlines()]
    return {row[0]: int(row[2]) for row in rows if len(row) == 3 and row[1] == "blob"}


async def _attributes(directory: Path, base: str, entries: tuple[_Entry, ...]) -> dict[bytes, frozenset[str]]:
    """Which of linguist's attributes are set on each path, by the base's .gitattributes: a change that could call
    itself generated would not be looked at."""
    if not entries:
        return {}
    with tempfile.TemporaryDirectory(prefix="towpath-index-") as folder:
        own = {"GIT_INDEX_FILE": os.path.join(folder, "index")}  # noqa: PTH118  (a word of an environment)
        await git("read-tree", base, directory=directory, environment=own)
        told = await git(
            *("check-attr", "--cached", "-z", "--stdin", "linguist-generated", "linguist-vendored"),
            directory=directory,
            environment=own,
            stdin=b"".join(entry.path + b"\0" for entry in entries),
        )
    words = told.split(b"\0")
    found: dict[bytes, frozenset[str]] = {}
    for path, name, value in zip(words[::3], words[1::3], words[2::3], strict=False):
        if value in (b"set", b"true"):
            found[path] = found.get(path, frozenset()) | {name.decode()}
    return found
