"""The report of a pull request's checks: that of any run, and with it what a publisher needs.

Published and stable like every report: a field is added, never renamed or given another unit. Of a check, `problems`
are what a forge shows as failures at their lines and `gaps` what it shows as warnings.
"""

from typing import Literal

from pydantic import Field

from tasks.core.pull_requests.perf_gate import Comparison, Speed
from tasks.core.results import Published, Report


class BenchmarkFigure(Published):
    """One benchmark of base and head."""

    name: str = Field(description="the benchmark, as its tool names it")
    speed: Speed = Field(description="unchanged, faster, slower or inconclusive")
    pairs: int = Field(ge=0, description="pairs of runs it was compared over")
    base_seconds: float = Field(description="median seconds on the base")
    head_seconds: float = Field(description="median seconds on the head")
    ratio: float = Field(description="head by base; 1.2 is 20 % slower")
    low: float = Field(description="lower end of the ratio's interval")
    high: float = Field(description="upper end of the ratio's interval")
    p_value: float = Field(description="chance of so much on identical code, adjusted for all benchmarks together")


class PullRequestReport(Report):
    """How the checks of one pull request ended."""

    flow: Literal["ci", "security", "pr_checks"] = Field("pr_checks", description="which flow ran")
    base: str = Field("", description="commit it was compared with, whose configuration decided")
    start: str = Field("", description="commit where the two parted; empty where they have none in common")
    base_branch: str = Field("", description="branch it goes to")
    head_branch: str = Field("", description="branch it comes from, where that is known")
    repository: str = Field("", description="owner/name on the forge; empty on a laptop")
    pull_request: int = Field(0, ge=0, description="its number on the forge; 0 on a laptop")
    title: str = Field("", description="the title that was judged")
    labels: tuple[str, ...] = Field((), description="labels it should have, of those in label_pool")
    label_pool: tuple[str, ...] = Field((), description="labels Towpath may set, and remove where it set them")
    benchmarks: tuple[BenchmarkFigure, ...] = Field((), description="each benchmark of base and head")


def figure_of(comparison: Comparison) -> BenchmarkFigure:
    return BenchmarkFigure(
        name=comparison.name,
        speed=comparison.speed,
        pairs=comparison.pairs,
        base_seconds=comparison.base_seconds,
        head_seconds=comparison.head_seconds,
        ratio=round(comparison.ratio, 4),
        # NOTE: JSON has no infinity; a bound that is not known stands as one that bounds nothing.
        low=round(max(comparison.low, 0.0), 4),
        high=round(min(comparison.high, 1e9), 4),
        p_value=round(comparison.p_value, 6),
    )
