"""How a check ends.

A check that could not be done must never look like one that went well, so a check ends in a value with five
possible verdicts, each with a reason, what it rests on, and what to do next. Absence is never a verdict: whoever
has nothing to say says `error`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Verdict(StrEnum):
    """Published in reports and read by machines: a contract, do not rename. Ordered from best to worst."""

    PASSED = "passed"
    SKIPPED = "skipped"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"
    ERROR = "error"

    @property
    def rank(self) -> int:
        return _ORDER.index(self)

    @property
    def blocks(self) -> bool:
        """Whether a gate stops at this verdict: an error blocks exactly as a failure does."""
        return self.rank >= Verdict.FAILED.rank


_ORDER = tuple(Verdict)


class ExitCode(IntEnum):
    """What every command of Towpath exits with."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    ERROR = 3


@dataclass(frozen=True)
class Outcome:
    """A verdict, why in words, what it rests on, and the command or step that helps."""

    verdict: Verdict
    reason: str
    evidence: Mapping[str, str] = field(default_factory=dict)
    remedy: str = ""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of all; of none it is an error, since a gate that saw nothing decided nothing."""
    return max(verdicts, key=lambda verdict: verdict.rank, default=Verdict.ERROR)


def exit_code(verdict: Verdict) -> ExitCode:
    match verdict:
        case Verdict.PASSED | Verdict.SKIPPED | Verdict.INCONCLUSIVE:
            return ExitCode.PASSED
        case Verdict.FAILED:
            return ExitCode.FAILED
        case Verdict.ERROR:
            return ExitCode.ERROR
