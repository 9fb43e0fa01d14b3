"""The verdict over all benchmarks of a run."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from tasks.core.outcome import Outcome, Verdict
from tasks.core.pull_requests.perf_gate import Comparison, Speed
from tasks.core.pull_requests.settings import BenchmarkSettings
from tasks.core.results import CheckResult, result_of

_SHOWN = 5


def judge_benchmarks(
    comparisons: Iterable[Comparison],
    settings: BenchmarkSettings,
    *,
    trouble: tuple[str, str] = ("", ""),
    is_cut_short: bool = False,
    only_head: tuple[str, ...] = (),
    only_base: tuple[str, ...] = (),
    check_id: str,
) -> CheckResult:
    """Failed when one is slower or gone, else inconclusive when one cannot be told; `trouble` is a side and why it
    broke. What may be gone is the base's to say: else the slowest benchmark would be the first to go."""
    found = tuple(comparisons)
    side, why = trouble
    if why and side == "head":
        outcome = Outcome(Verdict.ERROR, f"the head's benchmarks do not run: {why}", remedy="make them run again")
    elif why:
        outcome = _undecided(f"the base's benchmarks do not run: {why}", settings)
    elif missing := [name for name in only_base if not _is_retired(name, settings)]:
        outcome = _missing(missing, found)
    else:
        outcome = _outcome(found, settings, is_cut_short=is_cut_short, is_retired=bool(only_base))
    told = {"new": ", ".join(only_head), "gone": ", ".join(only_base)}
    measures = {str(speed): float(sum(each.speed is speed for each in found)) for speed in Speed}
    result = result_of(check_id, outcome, tool="benchmarks")
    return result.model_copy(update={"measures": measures, "suites": {key: said for key, said in told.items() if said}})


def _undecided(reason: str, settings: BenchmarkSettings, *, is_cut_short: bool = False) -> Outcome:
    which = "timeout_seconds, which ended it before all pairs were done" if is_cut_short else "pairs"
    remedy = f"run it again on a quieter machine, or raise pull_requests.benchmarks.{which}"
    if settings.inconclusive_blocks:
        return Outcome(Verdict.ERROR, f"inconclusive: {reason}", remedy=remedy)
    return Outcome(Verdict.INCONCLUSIVE, reason, remedy=remedy)


def _is_retired(name: str, settings: BenchmarkSettings) -> bool:
    """A benchmark; or a whole file, which a pattern of all that is in it means too."""
    meant = (name, f"{name}::", f"{name} > ")
    return any(fnmatchcase(each, pattern) for each in meant for pattern in settings.retired)


def _missing(names: list[str], found: tuple[Comparison, ...]) -> Outcome:
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    slower = [each for each in found if each.speed is Speed.SLOWER]
    also = f"; {len(slower)} of {len(found)} slower: {_listed(slower)}" if slower else ""
    remedy = "keep them; or name on the base, under pull_requests.benchmarks.retired, those that may go"
    return Outcome(Verdict.FAILED, f"the head no longer has what the base measures: {shown}{also}", remedy=remedy)


def _outcome(
    found: tuple[Comparison, ...], settings: BenchmarkSettings, *, is_cut_short: bool, is_retired: bool
) -> Outcome:
    slower = [each for each in found if each.speed is Speed.SLOWER]
    unknown = [each for each in found if each.speed is Speed.INCONCLUSIVE]
    if slower:
        remedy = f"make it faster; or say why it may be slower than {settings.threshold_percent:g} %"
        return Outcome(Verdict.FAILED, f"{len(slower)} of {len(found)} slower: {_listed(slower)}", remedy=remedy)
    if not found and is_retired:
        return Outcome(Verdict.PASSED, "the base's benchmarks are retired, and gone")
    if not found:
        reason = "time ran out before one pair was done" if is_cut_short else "no benchmark is on both sides"
        return _undecided(reason, settings, is_cut_short=is_cut_short)
    if unknown:
        reason = (
            f"{len(unknown)} of {len(found)} may be {settings.threshold_percent:g} % slower or not: {_listed(unknown)}"
        )
        return _undecided(reason, settings, is_cut_short=is_cut_short)
    faster = [each for each in found if each.speed is Speed.FASTER]
    also = f", {len(faster)} faster" if faster else ""
    return Outcome(Verdict.PASSED, f"none of {len(found)} is {settings.threshold_percent:g} % slower{also}")


def _listed(comparisons: Iterable[Comparison]) -> str:
    worst = sorted(comparisons, key=lambda each: -each.ratio)
    shown = [f"{each.name} by {each.ratio - 1:+.1%} ({each.low - 1:+.1%} to {each.high - 1:+.1%})" for each in worst]
    return "; ".join(shown[:_SHOWN]) + (f"; and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")
