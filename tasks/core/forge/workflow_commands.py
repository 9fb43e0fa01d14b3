"""What a GitHub Actions runner reads in a step's output: annotations, and a stretch in which it must read nothing.

The syntax is docs.github.com/actions/reference/workflow-commands-for-github-actions. It solves that a run on a runner
shows its findings at their lines without any token. It must never let what a tool printed pass as a command: a pull
request's tests could mask, set or stop things.
"""

from collections.abc import Iterator

from tasks.core.forge.checks import annotations_of
from tasks.core.forge.words import Annotation, Level
from tasks.core.results import Report

# A runner shows ten errors and ten warnings of a step, and drops the others without a word.
_SHOWN = 10
_WORDS = {Level.FAILURE: "error", Level.WARNING: "warning", Level.NOTICE: "notice"}


def deaf(token: str) -> str:
    """From this line on the runner obeys nothing, until `hearing(token)`; the token must be one nobody can guess."""
    return f"::stop-commands::{token}"


def hearing(token: str) -> str:
    return f"::{token}::"


def commands_of(report: Report) -> Iterator[str]:
    """A line for each place, the loudest first, and for each check that blocks without one; and what is not shown."""
    blocking = [check for check in report.checks if check.verdict.blocks]
    found = [one for check in report.checks for one in annotations_of(check)]
    found.sort(key=lambda one: list(Level).index(one.level), reverse=True)
    bare = [f"::error title={_property(check.id)}::{_data(check.reason)}" for check in blocking if not check.problems]
    loud = [*bare, *(_command(one) for one in found if one.level is Level.FAILURE)]
    yield from loud[:_SHOWN]
    if len(loud) > _SHOWN:
        yield f"::notice title=towpath::{len(loud) - _SHOWN} more are in the report: a runner shows {_SHOWN}"
    yield from [_command(one) for one in found if one.level is not Level.FAILURE][:_SHOWN]


def _command(annotation: Annotation) -> str:
    where = f"file={_property(annotation.path)},line={annotation.line},title={_property(annotation.title)}"
    return f"::{_WORDS[annotation.level]} {where}::{_data(annotation.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
