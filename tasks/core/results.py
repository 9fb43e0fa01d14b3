"""What a run leaves for readers: one result per check, one report per run. The JSON form is published and stable.

The models are the single source of `docs/report.schema.json`; a field is added, never renamed or given another unit.
"""

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.core.outcome import Outcome, Verdict, worst
from tasks.core.tools.contract import Problem, Reading


class Published(BaseModel):
    """Frozen, and nothing in it that is not described."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(Published):
    """One problem at one place of the target."""

    path: str = Field(description="file, relative to the target's root")
    line: int | None = Field(None, description="line, counted from 1")
    column: int | None = Field(None, description="column as the tool counts it")
    message: str = Field(description="what the tool said")
    code: str = Field("", description="the tool's name for the rule")


class CheckResult(Published):
    """How one check ended."""

    id: str = Field(description="room and name, for instance backend/ruff")
    verdict: Verdict = Field(description="passed, skipped, inconclusive, failed or error; the last two block")
    reason: str = Field(description="why, in words; the first problems with file and line when it failed")
    remedy: str = Field("", description="the command or step that fixes or reproduces it")
    seconds: float = Field(0.0, ge=0, description="wall seconds of the run that gave this result")
    cpu_seconds: float = Field(0.0, ge=0, description="processor seconds of the tool and its children")
    peak_memory_bytes: int = Field(0, ge=0, description="largest resident size of one of its processes")
    cached: bool = Field(False, description="whether an earlier run on the same inputs gave it")
    flaky: bool = Field(False, description="whether failed tests passed when they were run again")
    tool: str = Field("", description="program that ran")
    version: str = Field("", description="its version, and where that came from")
    log: str = Field("", description="path of the full output")
    suites: dict[str, str] = Field({}, description="how unit, integration and smoke tests went")
    measures: dict[str, float] = Field({}, description="figures the tool gave, for instance lines_valid, lines_covered")
    problems: tuple[Place, ...] = Field((), description="at most 200 problems")
    gaps: tuple[Place, ...] = Field((), description="places worth a look that do not fail the check, at most 20")

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.verdict, self.reason, remedy=self.remedy)


class Report(Published):
    """How one run ended."""

    flow: Literal["ci", "security", "pr_checks"] = Field("ci", description="which flow ran")
    target: str = Field(description="path or URL as it was given, without credentials")
    name: str = Field(description="the target's short name")
    revision: str = Field(description="commit, or `uncommitted` where there is none")
    dirty: bool = Field(description="whether the snapshot held changes that are not in the revision")
    verdict: Verdict = Field(description="the worst verdict of all checks")
    reason: str = Field(description="the verdict in one line")
    seconds: float = Field(ge=0, description="wall seconds of the run")
    started: str = Field(description="when it began, ISO 8601 in UTC")
    run: str = Field("", description="address of the run in the Prefect UI")
    folder: str = Field("", description="folder with the logs and this report")
    overrides: tuple[str, ...] = Field((), description="settings that went over the target's own for this run")
    notes: tuple[str, ...] = Field((), description="what the reader should know of the target and the plan")
    checks: tuple[CheckResult, ...] = Field(description="every planned check, in the plan's order")


def result_of(check_id: str, outcome: Outcome, reading: Reading | None = None, *, tool: str = "") -> CheckResult:
    """The published form of an outcome and of what the tool's output said."""
    read = reading or Reading((), 0, "")
    return CheckResult(
        id=check_id,
        verdict=outcome.verdict,
        reason=outcome.reason,
        remedy=outcome.remedy,
        tool=tool,
        suites=dict(read.suites),
        measures=dict(read.measures),
        problems=tuple(_place(problem) for problem in read.problems[:200]),
        gaps=tuple(_place(gap) for gap in read.gaps[:20]),
    )


def _place(problem: Problem) -> Place:
    return Place(
        path=problem.path, line=problem.line, column=problem.column, message=problem.message, code=problem.code
    )


def gate(results: Iterable[CheckResult]) -> Outcome:
    """The decision over a stage: it passes when something passed and nothing failed or could not be done."""
    checks = tuple(results)
    verdict = worst(check.verdict for check in checks)
    named = [check.id for check in checks if check.verdict.blocks]
    if verdict is Verdict.SKIPPED and not any(check.verdict is Verdict.PASSED for check in checks):
        return Outcome(Verdict.ERROR, "nothing was checked: every check was skipped", remedy="towpath plan says why")
    if not checks:
        return Outcome(Verdict.ERROR, "nothing to check was found here", remedy="towpath plan says what was looked for")
    if named:
        return Outcome(verdict, f"{len(named)} of {len(checks)} checks block: {', '.join(named)}")
    return Outcome(Verdict.PASSED, f"{count(checks)}")


def count(checks: Iterable[CheckResult]) -> str:
    """How many checks ended how, in words."""
    verdicts = [check.verdict for check in checks]
    counts = [(verdict, verdicts.count(verdict)) for verdict in Verdict]
    return ", ".join(f"{number} {verdict}" for verdict, number in counts if number)
