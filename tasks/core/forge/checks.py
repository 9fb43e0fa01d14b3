"""A run's report as checks on a commit, one for each check, with what was found at its line.

It solves that people read results where they review. It promises that whatever blocks in the report is red on the
forge, that nothing else is, and that limits shorten a text and say so. It must never show a skipped or missing check
as a success.
"""

from collections.abc import Sequence
from typing import TypeVar, assert_never

from tasks.core.forge.words import Annotation, Conclusion, ForgeCheck, Level
from tasks.core.origin import Origin
from tasks.core.outcome import Verdict
from tasks.core.results import CheckResult, Place, Report

# GitHub's limits: docs.github.com/rest/checks/runs.
ANNOTATIONS_AT_ONCE = 50
_SUMMARY_CHARACTERS = 60_000
_TITLE_CHARACTERS = 200
_MESSAGE_CHARACTERS = 4_000
# What no reader goes through; the report has them all.
_MOST_ANNOTATIONS = 500

_T = TypeVar("_T")


def name_of(flow: str, origin: Origin) -> str:
    """A push and a pull request are held to different rules, so that one must not be taken for the other."""
    return f"towpath / {flow}" if origin.pull_request else f"towpath / {flow} (push)"


def started_check(flow: str, run_id: str, page: str, origin: Origin) -> ForgeCheck:
    """The whole run as a check that goes on."""
    return ForgeCheck(
        key=f"{run_id}/{flow}",
        name=name_of(flow, origin),
        conclusion=Conclusion.GOES_ON,
        title="running",
        details_url=page,
    )


def stopped_check(flow: str, run_id: str, page: str, origin: Origin, *, reason: str, is_cancelled: bool) -> ForgeCheck:
    """The whole run as a check that came to no report."""
    return ForgeCheck(
        key=f"{run_id}/{flow}",
        name=name_of(flow, origin),
        conclusion=Conclusion.CANCELLED if is_cancelled else Conclusion.FAILURE,
        title=_short(reason, _TITLE_CHARACTERS),
        summary=_short(reason, _SUMMARY_CHARACTERS),
        details_url=page,
    )


def checks_of(report: Report, origin: Origin, *, run_id: str, summary: str = "") -> tuple[ForgeCheck, ...]:
    """The run's own check, with the summary, and one for each check of its report."""
    whole = ForgeCheck(
        key=f"{run_id}/{report.flow}",
        name=name_of(report.flow, origin),
        conclusion=conclusion_of(report.verdict),
        title=_short(report.reason, _TITLE_CHARACTERS),
        summary=_short(summary or report.reason, _SUMMARY_CHARACTERS),
        details_url=report.run,
    )
    return (whole, *(_check(check, report, origin, run_id) for check in report.checks))


def _check(check: CheckResult, report: Report, origin: Origin, run_id: str) -> ForgeCheck:
    lines = [check.reason, *(f"to do: {check.remedy}" for _ in [1] if check.remedy)]
    every = annotations_of(check)
    if len(every) > _MOST_ANNOTATIONS:
        lines.append(f"{len(every) - _MOST_ANNOTATIONS} more places are in the report only")
    return ForgeCheck(
        key=f"{run_id}/{report.flow}/{check.id}",
        name=f"{report.flow}{'' if origin.pull_request else ' (push)'} / {check.id}",
        conclusion=conclusion_of(check.verdict),
        title=_short(check.reason or str(check.verdict), _TITLE_CHARACTERS),
        summary=_short("\n\n".join(lines), _SUMMARY_CHARACTERS),
        details_url=report.run,
        annotations=every[:_MOST_ANNOTATIONS],
    )


def conclusion_of(verdict: Verdict) -> Conclusion:
    """What could not be done blocks, so that it is a failure: a forge lets neutral and skipped checks be merged."""
    match verdict:
        case Verdict.PASSED:
            return Conclusion.SUCCESS
        case Verdict.SKIPPED:
            return Conclusion.SKIPPED
        case Verdict.INCONCLUSIVE:
            return Conclusion.NEUTRAL
        case Verdict.FAILED | Verdict.ERROR:
            return Conclusion.FAILURE
        case _:
            assert_never(verdict)


def annotations_of(check: CheckResult) -> tuple[Annotation, ...]:
    """What it found, loud where it blocks; then what is only worth a look. Each place once."""
    level = Level.FAILURE if check.verdict.blocks else Level.WARNING
    every = [_annotation(place, level, check) for place in check.problems]
    every += [_annotation(place, Level.NOTICE, check) for place in check.gaps]
    return tuple(dict.fromkeys(every))


def _annotation(place: Place, level: Level, check: CheckResult) -> Annotation:
    return Annotation(
        path=place.path,
        line=max(1, place.line or 1),
        level=level,
        message=_short(place.message or check.reason, _MESSAGE_CHARACTERS) or check.id,
        title=_short(" ".join(filter(None, (check.id, place.code))), _TITLE_CHARACTERS),
    )


def batches(items: Sequence[_T], size: int = ANNOTATIONS_AT_ONCE) -> tuple[tuple[_T, ...], ...]:
    """The items in order, at most `size` in each; one empty batch where there is none."""
    return tuple(tuple(items[at : at + size]) for at in range(0, len(items), size)) or ((),)


def _short(text: str, characters: int) -> str:
    cut = " … (shortened)"
    return text if len(text) <= characters else text[: characters - len(cut)] + cut
