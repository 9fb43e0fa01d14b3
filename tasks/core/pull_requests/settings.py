"""What a team may ask of a pull request, under [pull_requests].

It is read from the base's configuration, never from the pull request's own, which could otherwise let itself through.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, field_validator

from tasks.core.section import Section

Percent = Annotated[float, Field(ge=0, le=100)]


class TitleSettings(Section):
    """The title."""

    pattern: Annotated[str, Field(max_length=1000)] = Field(
        "", description="regular expression it must match somewhere; empty means Conventional Commits"
    )
    types: tuple[str, ...] = Field(
        ("feat", "fix", "docs", "style", "refactor", "perf", "test", "build", "ci", "chore", "revert"),
        description="types of change that Conventional Commits may name here",
    )

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, given: str) -> str:
        try:
            re.compile(given)
        except re.error as broken:
            raise ValueError(f"is no regular expression: {broken}") from broken
        return given


class ComplexitySettings(Section):
    """Limits for functions that are new or became worse; old ones are left in peace."""

    cyclomatic: Annotated[int, Field(ge=1, le=1000)] = Field(
        15, description="paths through one function; above it tests no longer reach them all"
    )
    length_lines: Annotated[int, Field(ge=5, le=10_000)] = Field(
        100, description="lines of one function, more than two screens"
    )
    parameters: Annotated[int, Field(ge=1, le=100)] = Field(8, description="parameters of one function")


class SizeSettings(Section):
    """Size labels."""

    prefix: str = Field("size/", description="what a size label begins with")
    limits_lines: tuple[int, int, int, int] = Field(
        (10, 50, 250, 1000), description="most changed lines of XS, S, M and L; XL is more"
    )
    warn_lines: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        1000, description="changed lines above which a warning is given; 0 never warns"
    )
    blocks: bool = Field(False, description="whether that warning is a failure; off, since some changes are large")

    @field_validator("limits_lines")
    @classmethod
    def _rises(cls, given: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        if list(given) != sorted(set(given)) or given[0] < 0:
            raise ValueError("the limits must rise from XS to L")
        return given


class ChangedCoverageSettings(Section):
    """Coverage, from what the recorded CI runs of head and base measured."""

    minimum_percent: Percent = Field(70.0, description="per cent of all lines that tests must reach")
    changed_minimum_percent: Percent = Field(70.0, description="per cent of the changed lines that tests must reach")
    tolerance_percent: Percent = Field(
        0.5, description="percentage points it may fall below the base's, since moved lines shift it a little"
    )
    exclude: tuple[str, ...] = Field(
        (), description="patterns of source files that no test needs to reach, as in CODEOWNERS"
    )
    wait_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        3600.0, description="seconds to wait for the CI run that a push on a forge began together with these checks"
    )


class FileSettings(Section):
    """What is worth a second look."""

    large_bytes: Annotated[int, Field(ge=1024, le=1 << 32)] = Field(
        1 << 20, description="bytes from which on an added file is flagged as large"
    )
    risky: tuple[str, ...] = Field((), description="patterns of more files that are flagged, as in CODEOWNERS")


_MOST_PAIRS = 100


def pairs_of(least: int, benchmarks: int) -> int:
    """As many pairs as find a slow-down among so many benchmarks as surely as `least` pairs find it in one alone."""
    return min(_MOST_PAIRS, least + math.ceil(1.5 * math.log2(max(1, benchmarks))))


class BenchmarkSettings(Section):
    """The performance gate: benchmarks of base and head, in turns on one machine."""

    threshold_percent: Annotated[float, Field(gt=0, le=1000)] = Field(
        10.0, description="per cent slower from which on it matters; less is within what a person would notice"
    )
    pairs: Annotated[int, Field(ge=5, le=_MOST_PAIRS)] = Field(
        12, description="runs of each revision for one benchmark; four times as many benchmarks take three more"
    )
    error_rate: Annotated[float, Field(gt=0, le=0.2)] = Field(
        0.02, description="share of runs on identical code that may call any benchmark slower, however noisy it is"
    )
    seconds_per_benchmark: Annotated[float, Field(gt=0, le=60)] = Field(
        0.2, description="seconds that one benchmark takes in one run"
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        1800.0, description="seconds for all pairs; what is not done by then is inconclusive"
    )
    retired: tuple[str, ...] = Field(
        (), description="patterns of benchmarks that may be gone from a head; `*` stands for anything"
    )
    inconclusive_blocks: bool = Field(
        False, description="whether an inconclusive result is an error; off, since noise is nobody's fault"
    )


class PullRequestSettings(Section):
    """The checks of a pull request."""

    title: TitleSettings = Field(default_factory=TitleSettings)
    complexity: ComplexitySettings = Field(default_factory=ComplexitySettings)
    size: SizeSettings = Field(default_factory=SizeSettings)
    coverage: ChangedCoverageSettings = Field(default_factory=ChangedCoverageSettings)
    files: FileSettings = Field(default_factory=FileSettings)
    benchmarks: BenchmarkSettings = Field(default_factory=BenchmarkSettings)
    labels: Mapping[str, tuple[str, ...]] = Field(
        {}, description="label to patterns of changed paths, where there is no .github/labeler.yml"
    )
    disabled: Mapping[str, str] = Field(
        {}, description="checks that are switched off (title, coverage, ...), each with the reason that reports show"
    )

    @field_validator("disabled")
    @classmethod
    def _says_why(cls, given: Mapping[str, str]) -> Mapping[str, str]:
        for name, reason in given.items():
            if not reason.strip():
                raise ValueError(f"{name} is switched off without a reason")
        return given
