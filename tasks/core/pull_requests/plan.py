"""Which checks a pull request gets, and why one of them is not made."""

from dataclasses import replace

from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import Plan, PlannedCheck
from tasks.core.pull_requests.change import Change
from tasks.core.pull_requests.settings import PullRequestSettings
from tasks.core.settings import SettingsRefused

ROOM = "pull-request"
TITLE, CONFLICTS, COMPLEXITY, LABELS, SIZE, COVERAGE, FILES, BENCHMARKS = (
    f"{ROOM}/{name}"
    for name in ("title", "conflicts", "complexity", "labels", "size", "coverage", "files", "benchmarks")
)
CHECKS = (TITLE, CONFLICTS, COMPLEXITY, LABELS, SIZE, COVERAGE, FILES, BENCHMARKS)
_NEEDS_FILES = frozenset({COMPLEXITY, COVERAGE, FILES, BENCHMARKS})


def plan_checks(change: Change, settings: PullRequestSettings, *, title: str) -> Plan:
    """All checks, those that need no run with their outcome. Raises SettingsRefused."""
    names = [check.removeprefix(f"{ROOM}/") for check in CHECKS]
    if unknown := sorted(set(settings.disabled) - set(names)):
        raise SettingsRefused(f"pull_requests.disabled: there is no {unknown[0]}; there are {', '.join(names)}")
    checks = [PlannedCheck(id=check, reproduce="towpath pr") for check in CHECKS]
    return Plan(
        checks=tuple(replace(check, settled=_settled(check.id, change, settings, title=title)) for check in checks)
    )


def _settled(check_id: str, change: Change, settings: PullRequestSettings, *, title: str) -> Outcome | None:
    name = check_id.removeprefix(f"{ROOM}/")
    if name in settings.disabled:
        return Outcome(Verdict.SKIPPED, f"switched off in the base's configuration: {settings.disabled[name]}")
    if check_id in _NEEDS_FILES and not change.files:
        return Outcome(Verdict.SKIPPED, "the pull request changes no file")
    if check_id == TITLE and not title:
        return Outcome(Verdict.SKIPPED, "no title was given, and there is not one single commit to take it from")
    return None


def title_of(given: str | None, change: Change) -> str:
    """The title given, else the subject of the only commit, as a forge would propose; empty where there is none."""
    if given is not None:
        return given
    return change.subjects[0] if len(change.subjects) == 1 else ""
