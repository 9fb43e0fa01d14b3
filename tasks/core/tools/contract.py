"""The shape of a tool: what every entry of the catalogue declares, so that one place can judge all of them.

A tool's exit code and its output must agree before either is believed: an exit code outside the declared table, a
report that cannot be read, or one that shows that nothing was looked at is an error, never a pass.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Meaning(StrEnum):
    """What an exit code says: the tool ran and found nothing, found something, or did not do its work."""

    RAN = "ran"
    FINDINGS = "findings"
    BROKEN = "broken"


class Ecosystem(StrEnum):
    PYTHON = "python"
    NODE = "node"
    OWN = "own"


class Unreadable(Exception):
    """A tool's output is missing, truncated, of another shape, or shows that it looked at nothing."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong at one place; `path` is as the tool printed it until `relative_to` makes it the target's."""

    path: str
    line: int | None
    column: int | None
    message: str
    code: str = ""

    @property
    def place(self) -> str:
        numbers = [str(number) for number in (self.line, self.column) if number is not None]
        return ":".join([self.path, *numbers])

    def __str__(self) -> str:
        code = f" [{self.code}]" if self.code else ""
        return f"{self.place}: {self.message}{code}"

    def relative_to(self, tree: str, directory: str) -> "Problem":
        """The same problem, its path as seen from the target's root; `directory` is where the tool ran, below it."""
        if self.path.startswith(f"{tree}/"):
            return replace(self, path=self.path.removeprefix(f"{tree}/"))
        if self.path.startswith("/") or directory in ("", "."):
            return replace(self, path=self.path.removeprefix("./"))
        return replace(self, path=f"{directory}/{self.path.removeprefix('./')}")


@dataclass(frozen=True)
class Reading:
    """What a tool's output says once it is understood; `looked_at` counts what it examined and is never zero."""

    problems: tuple[Problem, ...]
    looked_at: int
    summary: str
    measures: Mapping[str, float] = field(default_factory=dict)
    suites: Mapping[str, str] = field(default_factory=dict)
    gaps: tuple[Problem, ...] = ()
    failed_tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Output:
    """What a tool left behind: its standard output, its log (standard error too), and report files by name."""

    stdout: str
    log: str
    reports: Mapping[str, str] = field(default_factory=dict)

    def report(self, name: str) -> str:
        text = self.reports.get(name, "")
        if not text.strip():
            raise Unreadable(f"it wrote no {name}")
        return text


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """Where and on what a tool is asked to work; all folders are absolute.

    `paths` are what to look at, relative to `directory`; `options` are what the plan found out about the project.
    """

    directory: str
    caches: str
    scratch: str
    paths: tuple[str, ...] = (".",)
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    again: tuple[str, ...] = ()

    def option(self, name: str) -> tuple[str, ...]:
        return self.options.get(name, ())


def no_variables(invocation: Invocation) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One program Towpath can run as a check.

    `package` is its name in lock files; `version` what Towpath brings when the target locks none; `fix` the command
    that mends what it found, run in the project's folder, empty where only a person can.
    """

    name: str
    ecosystem: Ecosystem
    package: str
    version: str = ""
    exits: Mapping[int, Meaning]
    other_exits: Meaning = Meaning.BROKEN
    arguments: Callable[[Invocation], tuple[str, ...]]
    read: Callable[[Output], Reading]
    variables: Callable[[Invocation], Mapping[str, str]] = no_variables
    reports: tuple[str, ...] = ()
    fix: str = ""
    is_in_environment: bool = False
    keeps_cache: bool = False
    confirms_failures: bool = False

    def meaning(self, exit_code: int) -> Meaning:
        return self.exits.get(exit_code, self.other_exits if 0 < exit_code < 126 else Meaning.BROKEN)


CLEAN_OR_FINDINGS = {0: Meaning.RAN, 1: Meaning.FINDINGS}

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r(?!\n)")


def plain(text: str) -> str:
    """The text without terminal colours and cursor movements."""
    return _ESCAPES.sub("", text)


def first_lines(text: str, count: int = 3) -> str:
    """The first lines that say something, for a reason when nothing better could be read."""
    lines = [line.strip(" \t│━⎯") for line in plain(text).splitlines()]
    useful = [line for line in lines if line.strip("-=~_*|")]
    return " / ".join(line[:200] for line in useful[:count])
