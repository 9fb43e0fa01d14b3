"""mypy: its text output, since versions that targets lock know no other that is the same everywhere."""

import re

from tasks.core.tools.contract import (
    CLEAN_OR_FINDINGS,
    Ecosystem,
    Invocation,
    Meaning,
    Output,
    Problem,
    Reading,
    Tool,
    Unreadable,
    plain,
)

_LINE = re.compile(
    r"^(?P<path>[^:\n]+):(?P<line>\d+):(?:(?P<column>\d+):)? error: (?P<message>.*?)(?:  \[(?P<code>[\w-]+)\])?$", re.M
)
_SUMMARY = re.compile(r"^(Success: no issues found|Found \d+ errors?) in .*?(?P<files>\d+) (?:source )?files?\)?", re.M)
_CHECKED = re.compile(r"\(checked (\d+) source files?\)")


def read_mypy(output: Output) -> Reading:
    text = plain(output.stdout)
    summary = _SUMMARY.search(text)
    if summary is None:
        raise Unreadable("it printed no summary, so it cannot have finished")
    checked = _CHECKED.search(text)
    looked_at = int(checked[1] if checked else summary["files"])
    problems = tuple(_problem(found) for found in _LINE.finditer(text))
    return Reading(problems, looked_at, f"{looked_at} files looked at")


def _problem(found: re.Match[str]) -> Problem:
    column = int(found["column"]) if found["column"] else None
    return Problem(found["path"], int(found["line"]), column, found["message"], found["code"] or "")


def _arguments(invocation: Invocation) -> tuple[str, ...]:
    shape = ("--no-pretty", "--no-color-output", "--show-column-numbers", "--show-error-codes", "--error-summary")
    return (*shape, "--cache-dir", f"{invocation.caches}/mypy", *invocation.option("mypy"))


MYPY = Tool(
    name="mypy",
    ecosystem=Ecosystem.PYTHON,
    package="mypy",
    version="2.4.1",
    exits={**CLEAN_OR_FINDINGS, 2: Meaning.BROKEN},
    arguments=_arguments,
    read=read_mypy,
    is_in_environment=True,
    keeps_cache=True,
)
