"""A pull request as git sees it: which files it changes, how, and on which lines.

Everything is counted from where its line of commits left the base's, so that what others have merged since is not laid
at its door. Paths are fit to be shown: bytes that are no UTF-8 stand escaped.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class ChangeKind(StrEnum):
    """What became of a file."""

    ADDED = "added"
    DELETED = "deleted"
    MODIFIED = "modified"
    RENAMED = "renamed"
    COPIED = "copied"
    RETYPED = "retyped"


@dataclass(frozen=True)
class Span:
    """Lines of a file, both ends counted."""

    first: int
    last: int

    def overlaps(self, first: int, last: int) -> bool:
        return self.first <= last and first <= self.last


@dataclass(frozen=True, kw_only=True)
class ChangedFile:
    """One file. `added` are lines of the head; `markers` those that a conflict left behind."""

    path: str
    kind: ChangeKind
    old_path: str = ""
    added: tuple[Span, ...] = ()
    deleted_lines: int = 0
    markers: tuple[int, ...] = ()
    size_bytes: int = 0
    is_binary: bool = False
    is_generated: bool = False
    is_vendored: bool = False

    @property
    def added_lines(self) -> int:
        return sum(span.last - span.first + 1 for span in self.added)

    @property
    def changed_lines(self) -> int:
        return self.added_lines + self.deleted_lines

    @property
    def base_path(self) -> str:
        """Where the base has it."""
        return self.old_path or self.path

    @property
    def is_gone(self) -> bool:
        return self.kind is ChangeKind.DELETED

    def adds(self, line: int) -> bool:
        return any(span.first <= line <= span.last for span in self.added)


@dataclass(frozen=True, kw_only=True)
class Change:
    """All of it. `start` is the commit where head and base parted, empty where they have none in common."""

    base: str
    head: str
    start: str
    base_branch: str = ""
    head_branch: str = ""
    files: tuple[ChangedFile, ...] = ()
    subjects: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that the change touches, a renamed file's old one too."""
        return tuple(dict.fromkeys(path for file in self.files for path in (file.path, file.old_path) if path))

    def touches(self, names: Iterable[str]) -> tuple[str, ...]:
        wanted = frozenset(names)
        return tuple(path for path in self.paths if path in wanted)
