"""pytest and its coverage: JUnit XML for what ran, Cobertura XML for what the tests reached.

pytest exits 2 to 5 when it was interrupted, broke, was misused or found no test; none of them is a failed test. A run
in which every test was skipped says nothing about the code and is unreadable too.
"""

import re
from collections import Counter
from collections.abc import Iterable
from xml.etree import ElementTree

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

JUNIT, COVERAGE = "junit.xml", "coverage.xml"
SUITES = ("unit", "integration", "smoke")
_TRACE = re.compile(r"^(?P<path>[^\s:][^:\n]*\.py):(?P<line>\d+): ", re.M)
# Where the interpreter itself says which line it could not parse.
_UNPARSED = re.compile(r"^E\s+File \"(?P<path>[^\"]+)\", line (?P<line>\d+)", re.M)
_SAID = re.compile(r"^E +(.*\S)", re.M)
_FOREIGN = re.compile(r"site-packages|dist-packages|/lib/python\d")


def read_pytest(output: Output) -> Reading:
    cases = _elements(output.report(JUNIT), "testcase", JUNIT)
    ran = [case for case in cases if case.find("skipped") is None]
    if not ran:
        raise Unreadable("every test was skipped" if cases else "no test ran")
    failed = [case for case in ran if _fault(case) is not None]
    problems = tuple(_problem(case) for case in failed)
    measures, gaps = read_coverage(output.reports.get(COVERAGE, ""))
    summary = f"{len(ran) - len(failed)} passed, {len(failed)} failed, {len(cases) - len(ran)} skipped"
    names = tuple(_node_id(case) for case in failed)
    return Reading(problems, len(ran), summary, measures, count_suites(cases), gaps, names)


def _elements(text: str, name: str, file: str) -> list[ElementTree.Element]:
    try:
        # expat itself refuses entity bombs, and the report is the target's own, read into this process's memory only
        return list(ElementTree.fromstring(text).iter(name))  # noqa: S314
    except ElementTree.ParseError as broken:
        raise Unreadable(f"its {file} is broken or truncated") from broken


def _fault(case: ElementTree.Element) -> ElementTree.Element | None:
    failure = case.find("failure")
    return failure if failure is not None else case.find("error")


def _node_id(case: ElementTree.Element) -> str:
    file, module = case.get("file", ""), case.get("classname", "").split(".")
    inner = module[len(file.removesuffix(".py").split("/")) :]
    return "::".join([file, *inner, case.get("name", "")])


def _problem(case: ElementTree.Element) -> Problem:
    fault = _fault(case)
    assert fault is not None
    text = fault.text or ""
    message = f"{case.get('name')}: {_message(fault.get('message') or '', text)[:300]}"
    found = [*_TRACE.finditer(text), *_UNPARSED.finditer(text)]
    if traces := [trace for trace in found if not _FOREIGN.search(trace["path"])]:
        return Problem(traces[-1]["path"], int(traces[-1]["line"]), None, message)
    line = case.get("line")
    place = case.get("file") or case.get("classname", "").replace(".", "/") + ".py"
    return Problem(place, int(line) + 1 if line else None, None, message)


def _message(message: str, text: str) -> str:
    """The first line of what went wrong; of a file that could not be collected, what its import raised."""
    said = _SAID.findall(text)
    if message == "collection failure" and said:
        return str(said[-1])
    return next((line.strip() for line in f"{message}\n{text}".splitlines() if line.strip()), "failed")


def count_suites(cases: Iterable[ElementTree.Element]) -> dict[str, str]:
    """How unit, integration and smoke tests went, told apart by their marker, else by their folder."""
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        counts.setdefault(_suite(case), Counter())[_ending(case)] += 1
    return {
        suite: ", ".join(f"{count} {ending}" for ending, count in sorted(counts[suite].items()))
        for suite in sorted(counts)
    }


def _suite(case: ElementTree.Element) -> str:
    for kind in case.iterfind("properties/property[@name='suite']"):
        return kind.get("value", "other")
    folders = (case.get("file") or case.get("classname", "").replace(".", "/")).split("/")
    return next((suite for suite in SUITES if suite in folders), "other")


def _ending(case: ElementTree.Element) -> str:
    if case.find("skipped") is not None:
        return "skipped"
    return "passed" if _fault(case) is None else "failed"


def read_coverage(text: str) -> tuple[dict[str, float], tuple[Problem, ...]]:
    """Counts of lines and the uncovered stretches of a Cobertura report, the longest file first; none of no report."""
    if not text.strip():
        return {}, ()
    lines_valid = lines_covered = 0
    source = _source(text)
    gaps: list[tuple[int, Problem]] = []
    for module in _elements(text, "class", COVERAGE):
        hits = {int(line.get("number", 0)): int(line.get("hits", 0)) for line in module.iter("line")}
        missed = sorted(number for number, count in hits.items() if not count)
        lines_valid, lines_covered = lines_valid + len(hits), lines_covered + len(hits) - len(missed)
        if missed:
            gaps.append((len(missed), _gap(source + module.get("filename", "?"), missed)))
    gaps.sort(key=lambda gap: (-gap[0], gap[1].path))
    return {"lines_valid": lines_valid, "lines_covered": lines_covered}, tuple(gap for _, gap in gaps[:20])


def _source(text: str) -> str:
    """The folder that a report counts its file names from; where it names several, which one is not said."""
    sources = {(found.text or "").rstrip("/") for found in _elements(text, "source", COVERAGE)}
    only = sources.pop() if len(sources) == 1 else ""
    return f"{only}/" if only else ""


def _gap(path: str, missed: list[int]) -> Problem:
    stretches: list[list[int]] = []
    for number in missed:
        if stretches and number == stretches[-1][-1] + 1:
            stretches[-1].append(number)
        else:
            stretches.append([number])
    shown = ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in stretches[:6])
    more = ", ..." if len(stretches) > 6 else ""
    return Problem(path, missed[0], None, f"{len(missed)} lines not covered: {shown}{more}")


def _arguments(invocation: Invocation) -> tuple[str, ...]:
    scratch = invocation.scratch
    shape = (
        f"--junitxml={scratch}/{JUNIT}",
        "-o",
        "junit_family=xunit1",
        "-o",
        f"cache_dir={invocation.caches}/pytest",
    )
    plugins = ("-p", "towpath_suites", "--color=no")
    return (*shape, *plugins, *_coverage(invocation), *invocation.option("pytest"), *invocation.again)


def _coverage(invocation: Invocation) -> tuple[str, ...]:
    if not invocation.option("coverage"):
        return ()
    sources = tuple(f"--cov={source}" for source in invocation.option("coverage") if source != "configured") or (
        "--cov",
    )
    return (*sources, "--cov-report=", f"--cov-report=xml:{invocation.scratch}/{COVERAGE}", "--cov-fail-under=0")


def _variables(invocation: Invocation) -> dict[str, str]:
    return {"COVERAGE_FILE": f"{invocation.scratch}/.coverage"}


PYTEST = Tool(
    name="pytest",
    ecosystem=Ecosystem.PYTHON,
    package="pytest",
    version="9.2.0",
    exits={**CLEAN_OR_FINDINGS, 2: Meaning.BROKEN, 3: Meaning.BROKEN, 4: Meaning.BROKEN, 5: Meaning.BROKEN},
    arguments=_arguments,
    read=read_pytest,
    variables=_variables,
    reports=(JUNIT, COVERAGE),
    is_in_environment=True,
    confirms_failures=True,
)
PYTEST_COVERAGE_VERSION = "7.1.0"
