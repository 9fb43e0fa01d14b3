"""From how a tool ended and what it left behind to the outcome of its check.

This is the only place where a verdict about a tool is made. A pass needs three things at once: an exit code that the
tool's table calls a run, output that can be read, and a sign that something was looked at. Anything else that is not
a finding is an error, with the words of the tool that say why.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tasks.core.outcome import Outcome, Verdict
from tasks.core.tools.contract import Meaning, Output, Problem, Reading, Tool, Unreadable, first_lines

_SHOWN = 3
_TELLING = re.compile(
    r"^\s*[×✗✖] |\b(\w*error|failed|fatal|cannot|could not|unable|denied|no such|not found|\w*exception|traceback)\b",
    re.IGNORECASE,
)
# What npm says about itself and about what it starts.
_CHATTER = re.compile(r"^(npm (warn|notice)|> )", re.IGNORECASE)


@dataclass(frozen=True)
class Finished:
    """How a tool's process ended: with an exit code, or in `trouble` (one line) that kept it from ending by itself."""

    exit_code: int | None
    trouble: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Place:
    """Where a tool ran: the snapshot's root, and the project's folder below it."""

    tree: str
    folder: str


@dataclass(frozen=True)
class Conclusion:
    outcome: Outcome
    reading: Reading | None = None


def conclude(tool: Tool, finished: Finished, output: Output, place: Place, *, reproduce: str) -> Conclusion:
    """The outcome of a tool's run; `reproduce` is the command a person would type to see the same."""
    if finished.exit_code is None:
        return Conclusion(_error(finished.trouble or "it did not finish", finished.remedy or reproduce))
    meaning = tool.meaning(finished.exit_code)
    if meaning is Meaning.BROKEN:
        return Conclusion(_broken(tool, finished.exit_code, output, place, reproduce))
    try:
        reading = _placed(tool.read(output), place)
    except Unreadable as unreadable:
        said = first_lines(telling(output.log), 2)
        words = f"; it said: {said}" if said else ""
        return Conclusion(_error(f"{tool.name} exited {finished.exit_code}, but {unreadable}{words}", reproduce))
    return _believed(tool, meaning, reading, output, place, reproduce)


def _believed(
    tool: Tool, meaning: Meaning, reading: Reading, output: Output, place: Place, reproduce: str
) -> Conclusion:
    match meaning, bool(reading.problems):
        case Meaning.RAN, False:
            return Conclusion(Outcome(Verdict.PASSED, reading.summary), reading)
        case Meaning.RAN, True if tool.other_exits is Meaning.BROKEN:
            reason = f"{tool.name} exited 0, but its report names a problem: {reading.problems[0]}"
            return Conclusion(_error(reason, reproduce), reading)
        case Meaning.RAN, True:
            return Conclusion(Outcome(Verdict.PASSED, reading.summary), replace(reading, problems=()))
        case _, True:
            return Conclusion(
                Outcome(Verdict.FAILED, reason_of(reading), remedy=_remedy(tool, reading, place, reproduce)), reading
            )
        case _, False if tool.other_exits is Meaning.FINDINGS or reading.gaps:
            said = "; ".join(str(gap) for gap in reading.gaps[:_SHOWN]) or first_lines(
                telling(output.log + output.stdout)
            )
            return Conclusion(Outcome(Verdict.FAILED, said or "it failed and said nothing", remedy=reproduce), reading)
    said = first_lines(telling(output.log), 2)
    words = f"; it said: {said}" if said else ""
    reason = f"{tool.name} says it found something, but its report names nothing{words}"
    return Conclusion(_error(reason, reproduce), reading)


def reason_of(reading: Reading) -> str:
    """The first problems with their places, and how many more there are."""
    more = len(reading.problems) - _SHOWN
    shown = "; ".join(str(problem) for problem in reading.problems[:_SHOWN])
    return f"{shown}; and {more} more" if more > 0 else shown


def telling(text: str) -> str:
    """The lines of a log that speak of something wrong, else its last lines."""
    lines = [line for line in text.splitlines() if line.strip() and not _CHATTER.match(line)]
    wrong = [line for line in lines if _TELLING.search(line)]
    return "\n".join(wrong or lines[-3:])


def _error(reason: str, remedy: str) -> Outcome:
    return Outcome(Verdict.ERROR, reason, remedy=remedy)


def _broken(tool: Tool, exit_code: int, output: Output, place: Place, reproduce: str) -> Outcome:
    """An exit code that means the tool did not do its work, with the places its report still names."""
    try:
        problems = _placed(tool.read(output), place).problems
    except Unreadable:
        problems = ()
    known = "" if exit_code in tool.exits else ", an exit code it is not known for"
    said = "; ".join(str(problem) for problem in problems[:_SHOWN]) or first_lines(telling(output.log or output.stdout))
    return _error(f"{tool.name} broke (exit code {exit_code}{known}): {said or 'it said nothing'}", reproduce)


def _placed(reading: Reading, place: Place) -> Reading:
    def moved(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
        return tuple(problem.relative_to(place.tree, place.folder) for problem in problems)

    return replace(reading, problems=moved(reading.problems), gaps=moved(reading.gaps))


def _remedy(tool: Tool, reading: Reading, place: Place, reproduce: str) -> str:
    if not tool.fix:
        return reproduce
    paths = sorted({problem.path for problem in reading.problems})[:3]
    inside = [path.removeprefix(f"{place.folder}/") for path in paths]
    step = f"cd {place.folder} && " if place.folder != "." else ""
    return step + tool.fix.format(paths=" ".join(inside))


def judge_coverage(measures: Mapping[str, float], gaps: tuple[str, ...], *, minimum_percent: float) -> Outcome:
    """Whether the tests reached enough lines; `gaps` are uncovered stretches as `file:line: ...`, the longest first."""
    valid = measures.get("lines_valid", 0)
    if not valid:
        return _error(
            "the tests measured no line of code", "look at the log of pytest and at [tool.coverage] in pyproject.toml"
        )
    percent = 100 * measures["lines_covered"] / valid
    figure = f"{percent:.1f} % of {valid:.0f} lines"
    if percent >= minimum_percent:
        asked = f", at least {minimum_percent:g} % asked" if minimum_percent else ", no minimum set"
        return Outcome(Verdict.PASSED, figure + asked)
    where = "; ".join(gaps[:_SHOWN])
    reason = f"{figure}, {minimum_percent:g} % asked; {where}"
    return Outcome(Verdict.FAILED, reason, remedy="test the lines named, or lower coverage.minimum_percent and say why")
