"""Formatters and linters of Python: black, ruff.

Formatters are asked for a diff, since "would reformat" names no line and a person wants to see the place.
"""

import json
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
)

_FILE = re.compile(r"^--- (?P<path>.+?)(?:\t.*)?$")
_HUNK = re.compile(r"^@@ -(?P<line>\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")
_BROKEN = re.compile(
    r"^error: (?:cannot parse: |Failed to parse )(?P<path>.+?):(?P<line>\d+):(?P<column>\d+)(?::? (?P<message>.*))?$"
    r"|^error: cannot format (?P<old_path>.+?): Cannot parse.*?: (?P<old_line>\d+):(?P<old_column>\d+).*$",
    re.M,
)
_COUNT = re.compile(
    r"(\d+) files? (?:would be left unchanged|left unchanged|already formatted|would be reformatted"
    r"|would fail to reformat)"
)


def changed_places(diff: str, message: str) -> tuple[Problem, ...]:
    """The first changed line of each file of a unified diff, in the numbering of the old file."""
    places: list[Problem] = []
    path, line, is_placed = "", 0, True
    for text in diff.splitlines():
        if is_placed and (opened := _FILE.match(text)):
            path, is_placed = opened["path"].split("\t")[0], False
        elif not is_placed and (hunk := _HUNK.match(text)):
            line = int(hunk["line"])
        elif not is_placed and line and text[:1] in ("-", "+") and not text.startswith("+++ "):
            places.append(Problem(path, line, None, message))
            is_placed, line = True, 0
        elif not is_placed and line:
            line += 1
    return tuple(places)


def read_formatter(output: Output) -> Reading:
    """Reading of `black --check --diff` or `ruff format --check --diff`: diff on stdout, counts on standard error."""
    counts = [int(count) for count in _COUNT.findall(output.log)]
    if not sum(counts):
        raise Unreadable("it looked at no Python file")
    broken = tuple(_unparsable(found) for found in _BROKEN.finditer(output.log))
    problems = (*broken, *changed_places(output.stdout, "would be reformatted"))
    return Reading(problems, sum(counts), f"{sum(counts)} files looked at")


def _unparsable(found: re.Match[str]) -> Problem:
    path, line, column = (found[name] or found[f"old_{name}"] for name in ("path", "line", "column"))
    return Problem(path, int(line), int(column), found["message"] or "cannot be parsed")


def read_ruff(output: Output) -> Reading:
    """Reading of `ruff check --output-format json`: a list of diagnostics; no file at all is only a warning to ruff."""
    if "No Python files found" in output.log:
        raise Unreadable("it looked at no Python file")
    try:
        rows = json.loads(output.stdout)
        problems = tuple(_ruff_problem(row) for row in rows)
    except (ValueError, KeyError, TypeError, AttributeError) as broken:
        raise Unreadable("its JSON report cannot be read") from broken
    return Reading(problems, 1, "no findings" if not problems else f"{len(problems)} findings")


def _ruff_problem(row: dict[str, object]) -> Problem:
    place = row["location"] or {}
    assert isinstance(place, dict)
    return Problem(
        str(row["filename"]), place.get("row"), place.get("column"), str(row["message"]), str(row["code"] or "")
    )


def _black_arguments(invocation: Invocation) -> tuple[str, ...]:
    return ("--check", "--diff", "--no-color", *invocation.paths)


def _ruff_arguments(invocation: Invocation) -> tuple[str, ...]:
    cache = f"{invocation.caches}/ruff"
    return (
        "check",
        "--no-fix",
        "--output-format",
        "json",
        "--cache-dir",
        cache,
        *invocation.option("ruff"),
        *invocation.paths,
    )


def _ruff_format_arguments(invocation: Invocation) -> tuple[str, ...]:
    return (
        "format",
        "--check",
        "--diff",
        "--cache-dir",
        f"{invocation.caches}/ruff-format",
        *invocation.option("ruff"),
        *invocation.paths,
    )


BLACK = Tool(
    name="black",
    ecosystem=Ecosystem.PYTHON,
    package="black",
    version="26.10.1",
    exits={**CLEAN_OR_FINDINGS, 123: Meaning.BROKEN},
    arguments=_black_arguments,
    read=read_formatter,
    variables=lambda invocation: {"BLACK_CACHE_DIR": f"{invocation.caches}/black"},
    fix="black {paths}",
    keeps_cache=True,
)
RUFF = Tool(
    name="ruff",
    ecosystem=Ecosystem.PYTHON,
    package="ruff",
    version="0.17.6",
    exits={**CLEAN_OR_FINDINGS, 2: Meaning.BROKEN},
    arguments=_ruff_arguments,
    read=read_ruff,
    fix="ruff check --fix {paths}",
    keeps_cache=True,
)
RUFF_FORMAT = Tool(
    name="ruff-format",
    ecosystem=Ecosystem.PYTHON,
    package="ruff",
    version="0.17.6",
    exits={**CLEAN_OR_FINDINGS, 2: Meaning.BROKEN},
    arguments=_ruff_format_arguments,
    read=read_formatter,
    fix="ruff format {paths}",
    keeps_cache=True,
)
