"""Linters, the compiler, tests and builds of TypeScript and JavaScript projects.

`npm run` hides which program failed and how, so linters, compiler and test runners are started directly with reports
they document; only the build, which is the team's own script, goes through the package manager.
"""

import json
import re
from typing import Any

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
    first_lines,
    plain,
)

TESTS, COVERAGE = "tests.json", "cobertura-coverage.xml"
# NOTE: a path may itself hold parentheses, as the route groups of Next.js do.
_TSC = re.compile(r"^(?P<path>\S.*?)\((?P<line>\d+),(?P<column>\d+)\): error (?P<code>TS\d+): (?P<message>.*)$", re.M)
_TSC_PLACELESS = re.compile(r"^error (TS\d+: .*)$", re.M)
_TSC_FILES = re.compile(r"^Files:\s+(\d+)$", re.M)
_BIOME = re.compile(
    r"^(?P<path>\S.*?)(?::(?P<line>\d+):(?P<column>\d+))? (?P<code>[a-z]\w*(?:/\w+)*) [ A-Z]*━━+\n\s*\n"
    r"  × (?P<message>.*)$",
    re.M,
)
_BIOME_CHANGED = re.compile(r"^ +(\d+) +(?:\d* *│ -|│ \+|│ [^\n]*\n +│ +[+-])", re.M)
_BIOME_COUNT = re.compile(r"^Checked (\d+) files?", re.M)
_PRETTIER_BROKEN = re.compile(
    r"^\[error\] (?P<path>.+?): (?P<message>\w*Error: .*) \((?P<line>\d+):(?P<column>\d+)\)$", re.M
)
# NOTE: both begin where no path can have begun before, else a long line of letters would cost its length squared.
_STACK = re.compile(
    r"(?:(?<=file://)|(?<![\w./@-]))(?P<path>/[^\s():]+|[\w./@-]+\.[cm]?[jt]sx?):(?P<line>\d+)(?::(?P<column>\d+))?"
)
# Babel names the place behind its message.
_BABEL = re.compile(r"(?<![\w./@-])(?P<path>/[^\s:]+): [^\n]{1,300} \((?P<line>\d+):(?P<column>\d+)\)$", re.M)
_BUILD = re.compile(
    r"(?<![\w.@/$)\]-])(?P<path>(?:[\w.@/$-]|\\ |\([\w.-]+\)|\[[\w.-]+\]){1,300}"
    r"\.(?:[cm]?[jt]sx?|vue|svelte|css|scss|html))"
    r"(?::|\s*\(|\[| )(?P<line>\d+)[:,](?P<column>\d+)"
)
_UNRESOLVED = re.compile(
    r"^.*(?:failed to resolve import|Could not resolve) [\"'].*?[\"'] (?:from|in) [\"']?(?P<path>[^\"'\n]+).*", re.M
)
_WRONG = re.compile(r"error|failed|cannot|could not|can't", re.IGNORECASE)


def read_eslint(output: Output) -> Reading:
    """Reading of `eslint --format json`: one row per file, messages of severity 2 are errors."""
    try:
        files: list[dict[str, Any]] = json.loads(output.stdout)
        found = [(row["filePath"], message) for row in files for message in row["messages"]]
        problems = tuple(_eslint_problem(path, message) for path, message in found if message["severity"] == 2)
    except (ValueError, KeyError, TypeError) as broken:
        raise Unreadable("its JSON report cannot be read") from broken
    if not files:
        raise Unreadable("it looked at no file")
    if not problems and found:
        warnings = tuple(_eslint_problem(path, message) for path, message in found)
        return Reading((), len(files), f"{len(found)} warnings", gaps=warnings)
    return Reading(problems, len(files), f"{len(files)} files looked at")


def _eslint_problem(path: str, message: dict[str, Any]) -> Problem:
    return Problem(path, message.get("line"), message.get("column"), message["message"], message.get("ruleId") or "")


def read_biome(output: Output) -> Reading:
    """Reading of what `biome ci` prints for people: the only one of its reporters that also counts the files."""
    text = plain(output.stdout + "\n" + output.log)
    counted = _BIOME_COUNT.search(text)
    if counted is None or not int(counted[1]):
        raise Unreadable("it looked at no file")
    starts = list(_BIOME.finditer(text))
    ends = [*[found.start() for found in starts[1:]], len(text)]
    problems = [_biome_problem(found, text[found.end() : end]) for found, end in zip(starts, ends, strict=False)]
    return Reading(tuple(problems), int(counted[1]), f"{counted[1]} files looked at")


def _biome_problem(found: re.Match[str], excerpt: str) -> Problem:
    """A formatter's complaint has no place of its own but shows the lines it would change."""
    changed = _BIOME_CHANGED.search(excerpt)
    line = found["line"] or (changed and changed[1])
    column = int(found["column"]) if found["column"] else None
    return Problem(found["path"], int(line) if line else None, column, found["message"].rstrip(". "), found["code"])


def read_prettier(output: Output) -> Reading:
    """Reading of `prettier --check`: a `[warn] path` per file, between an opening and a closing sentence."""
    text = plain(f"{output.stdout}\n{output.log}")
    if "Checking formatting" not in text:
        raise Unreadable("it looked at no file")
    paths = [line.removeprefix("[warn] ") for line in text.splitlines() if line.startswith("[warn] ")]
    changed = [Problem(path, None, None, "would be reformatted") for path in paths if not path.startswith("Code style")]
    broken = [
        Problem(found["path"], int(found["line"]), int(found["column"]), found["message"])
        for found in _PRETTIER_BROKEN.finditer(text)
    ]
    return Reading((*broken, *changed), 1, f"{len(changed)} files would be reformatted")


def read_tsc(output: Output) -> Reading:
    """Reading of `tsc --diagnostics --pretty false`; without its count of files it cannot have compiled anything."""
    text = plain(output.stdout)
    problems = tuple(
        Problem(found["path"], int(found["line"]), int(found["column"]), found["message"], found["code"])
        for found in _TSC.finditer(text)
    )
    placeless = _TSC_PLACELESS.findall(text)
    if placeless and not problems:
        raise Unreadable(placeless[0])
    looked_at = sum(int(count) for count in _TSC_FILES.findall(text))
    if not looked_at and not problems:
        raise Unreadable("it compiled no file")
    return Reading(problems, max(looked_at, 1), f"{looked_at} files looked at, libraries among them")


def read_tests(output: Output) -> Reading:
    """Reading of the JSON report that vitest and jest share (`numTotalTests`, `testResults[].assertionResults[]`)."""
    try:
        report: dict[str, Any] = json.loads(output.report(TESTS))
        files: list[dict[str, Any]] = report["testResults"]
        counts = {name: int(report[f"num{name}Tests"]) for name in ("Total", "Passed", "Failed")}
        log = plain(output.log)
        problems = tuple(problem for file in files for problem in _test_problems(file, log))
    except (ValueError, KeyError, TypeError) as broken:
        raise Unreadable(f"its {TESTS} cannot be read") from broken
    if not problems and counts["Passed"] + counts["Failed"] == 0:
        raise Unreadable("no test ran")
    skipped = counts["Total"] - counts["Passed"] - counts["Failed"]
    failed_files = tuple(file["name"] for file in files if file["status"] == "failed")
    summary = f"{counts['Passed']} passed, {counts['Failed']} failed, {skipped} skipped"
    return Reading(problems, max(counts["Total"], 1), summary, failed_tests=failed_files)


def _test_problems(file: dict[str, Any], log: str) -> list[Problem]:
    failed = [test for test in file["assertionResults"] if test["status"] == "failed"]
    if not failed and file["status"] == "failed":
        message = plain(file.get("message") or "the file could not be run")
        said = _headline(message)
        # NOTE: vitest's report says why a file could not be run, and only its log says where.
        return [_placed(file["name"], message + log[log.find(said) :][:2000] if said in log else message, said)]
    return [_test_problem(file["name"], test) for test in failed]


def _test_problem(path: str, test: dict[str, Any]) -> Problem:
    message = plain("\n".join(test.get("failureMessages") or ()))
    return _placed(path, message, f"{test.get('fullName') or test.get('title')}: {_headline(message)}")


def _headline(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if "Test suite failed to run" not in line]
    return next((line for line in lines if line), "failed")


def _placed(path: str, trace: str, message: str) -> Problem:
    """The first place of the trace in the file itself, else in the team's other code, else the file."""
    found = [*_BABEL.finditer(trace), *_STACK.finditer(trace)]
    here = next((place for place in found if path.endswith(place["path"]) or place["path"].endswith(path)), None)
    if here:
        return Problem(path, int(here["line"]), int(here["column"]) if here["column"] else None, message[:300])
    own = next((place for place in found if place["column"] and "node_modules" not in place["path"]), None)
    if own is None:
        return Problem(path, None, None, message[:300])
    return Problem(own["path"], int(own["line"]), int(own["column"]), message[:300])


def read_script(output: Output) -> Reading:
    """Reading of a team's own script: places are what looks like file:line:column; no output at all is no evidence."""
    text = plain(output.log + "\n" + output.stdout)
    if not text.strip():
        raise Unreadable("it printed nothing, so it cannot be told that it did anything")
    tsc = tuple(
        Problem(found["path"].strip(), int(found["line"]), int(found["column"]), found["message"], found["code"])
        for found in _TSC.finditer(text)
    )
    return Reading(tsc or script_problems(text), 1, "done")


def script_problems(text: str) -> tuple[Problem, ...]:
    seen: list[Problem] = []
    for found in _BUILD.finditer(text):
        path, line = found["path"], int(found["line"])
        is_known = any(problem.line == line and _is_same(problem.path, path) for problem in seen)
        if not is_known and "node_modules" not in path:
            seen.append(Problem(path, line, int(found["column"]), _message_near(text, found)))
    for found in _UNRESOLVED.finditer(text):
        if not any(_is_same(problem.path, found["path"]) for problem in seen):
            seen.append(Problem(found["path"], None, None, first_lines(found[0], 1)))
    return tuple(seen[:50])


def _is_same(one: str, other: str) -> bool:
    """Whether two spellings may be of the same file, one of them absolute or with a leading ./."""
    short, long = sorted((one.removeprefix("./"), other.removeprefix("./")), key=len)
    return long == short or long.endswith(f"/{short.lstrip('/')}")


def _message_near(text: str, found: re.Match[str]) -> str:
    """What stands behind the place, on the next line, or in the lines before it, whichever speaks of an error."""
    behind, *after = text[found.end() :].split("\n")[:2]
    before = text[: found.start()].splitlines()[-6:]
    telling = [line for line in (behind.lstrip("): -"), *after, *reversed(before)) if _WRONG.search(line)]
    line = telling[0] if telling else text[found.start() :].splitlines()[0]
    return first_lines(line, 1) or "failed"


def _eslint_arguments(invocation: Invocation) -> tuple[str, ...]:
    cache = ("--cache", "--cache-strategy", "content", "--cache-location", f"{invocation.caches}/eslint/")
    chosen = invocation.option("eslint") or invocation.paths
    return (*chosen, "--format", "json", *(cache if invocation.option("eslint-cache") else ()))


def _biome_arguments(invocation: Invocation) -> tuple[str, ...]:
    return ("ci", "--colors=off", "--max-diagnostics=200", *invocation.paths)


def _tsc_arguments(invocation: Invocation) -> tuple[str, ...]:
    shape = ("--pretty", "false", "--diagnostics")
    chosen = invocation.option("tsc") or ("-p", "tsconfig.json")
    if chosen[0] == "-b":
        return (*chosen, "--noEmit", "--force", *shape)
    cache = ("--incremental", "--tsBuildInfoFile", f"{invocation.caches}/tsc/tsconfig.tsbuildinfo")
    return (*chosen, "--noEmit", *cache, *shape)


def _vitest_arguments(invocation: Invocation) -> tuple[str, ...]:
    reports = ("--reporter=default", "--reporter=json", f"--outputFile={invocation.scratch}/{TESTS}")
    return ("run", *reports, *_vitest_coverage(invocation), *invocation.option("test"), *invocation.again)


def _vitest_coverage(invocation: Invocation) -> tuple[str, ...]:
    """Where the project has what measures it; its own thresholds are for its own command."""
    if not invocation.option("coverage"):
        return ()
    none = tuple(f"--coverage.thresholds.{what}=0" for what in ("lines", "functions", "branches", "statements"))
    place = ("--coverage.clean=false", f"--coverage.reportsDirectory={invocation.scratch}")
    return ("--coverage.enabled", "--coverage.reporter=cobertura", *place, *none)


def _jest_arguments(invocation: Invocation) -> tuple[str, ...]:
    reports = ("--ci", "--json", f"--outputFile={invocation.scratch}/{TESTS}", "--colors=false")
    return (*reports, f"--cacheDirectory={invocation.caches}/jest", *invocation.option("test"), *invocation.again)


def _script_arguments(invocation: Invocation) -> tuple[str, ...]:
    return ("run", *invocation.option("script"))


_NO_COLOUR = {"NO_COLOR": "1", "FORCE_COLOR": "0"}

ESLINT = Tool(
    name="eslint",
    ecosystem=Ecosystem.NODE,
    package="eslint",
    version="9.39.1",
    exits={**CLEAN_OR_FINDINGS, 2: Meaning.BROKEN},
    arguments=_eslint_arguments,
    read=read_eslint,
    fix="npx eslint --fix {paths}",
    is_in_environment=True,
    keeps_cache=True,
)
BIOME = Tool(
    name="biome",
    ecosystem=Ecosystem.NODE,
    package="@biomejs/biome",
    version="2.3.8",
    exits=CLEAN_OR_FINDINGS,
    arguments=_biome_arguments,
    read=read_biome,
    fix="npx biome check --write {paths}",
    is_in_environment=True,
)
PRETTIER = Tool(
    name="prettier",
    ecosystem=Ecosystem.NODE,
    package="prettier",
    version="3.10.1",
    exits={**CLEAN_OR_FINDINGS, 2: Meaning.BROKEN},
    arguments=lambda invocation: ("--check", "--no-color", "--log-level", "log", *invocation.paths),
    read=read_prettier,
    fix="npx prettier --write {paths}",
    is_in_environment=True,
)
TYPESCRIPT = Tool(
    name="tsc",
    ecosystem=Ecosystem.NODE,
    package="typescript",
    version="5.9.3",
    exits={0: Meaning.RAN, 1: Meaning.FINDINGS, 2: Meaning.FINDINGS},
    arguments=_tsc_arguments,
    read=read_tsc,
    is_in_environment=True,
    keeps_cache=True,
)
VITEST = Tool(
    name="vitest",
    ecosystem=Ecosystem.NODE,
    package="vitest",
    exits=CLEAN_OR_FINDINGS,
    arguments=_vitest_arguments,
    read=read_tests,
    variables=lambda invocation: _NO_COLOUR,
    reports=(TESTS, COVERAGE),
    is_in_environment=True,
    confirms_failures=True,
)
JEST = Tool(
    name="jest",
    ecosystem=Ecosystem.NODE,
    package="jest",
    exits=CLEAN_OR_FINDINGS,
    arguments=_jest_arguments,
    read=read_tests,
    variables=lambda invocation: _NO_COLOUR,
    reports=(TESTS,),
    is_in_environment=True,
    confirms_failures=True,
)
SCRIPT = Tool(
    name="script",
    ecosystem=Ecosystem.NODE,
    package="",
    exits={0: Meaning.RAN},
    other_exits=Meaning.FINDINGS,
    arguments=_script_arguments,
    read=read_script,
    variables=lambda invocation: _NO_COLOUR,
    is_in_environment=True,
)
