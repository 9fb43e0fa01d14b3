"""Whether a change makes functions harder to read than the team wants.

Only a function that is new or worse than the base's counts: who touches an old sin without adding to it is not asked
to atone for it. A function that only moved is an old one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tasks.core.outcome import Outcome, Verdict
from tasks.core.pull_requests.settings import ComplexitySettings
from tasks.core.results import CheckResult, Place, result_of

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Function:
    """One function as it was measured; `path` is the head's, also for one of the base."""

    path: str
    name: str
    line: int
    cyclomatic: int
    length: int
    parameters: int

    @property
    def measures(self) -> tuple[int, int, int]:
        return self.cyclomatic, self.length, self.parameters


def judge_complexity(
    head: Iterable[Function], base: Iterable[Function], limits: ComplexitySettings, *, check_id: str
) -> CheckResult:
    functions = tuple(head)
    places = tuple(
        Place(path=function.path, line=function.line, message=said, code="complexity")
        for function, before in paired(functions, base)
        if (said := _complaint(function, before, limits))
    )
    if not places:
        reason = f"none of {len(functions)} functions in changed files is new or worse over the limits"
        return result_of(check_id, Outcome(Verdict.PASSED, reason), tool="lizard")
    shown = "; ".join(f"{place.path}:{place.line} {place.message}" for place in places[:_SHOWN])
    more = f"; and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    remedy = "split them; or raise pull_requests.complexity in the base's towpath.toml"
    outcome = Outcome(Verdict.FAILED, f"{shown}{more}", remedy=remedy)
    return result_of(check_id, outcome, tool="lizard").model_copy(update={"problems": places[:200]})


def paired(head: Iterable[Function], base: Iterable[Function]) -> Iterator[tuple[Function, Function | None]]:
    """Each function of the head with what it was: itself unchanged, else its namesake in the file, else nothing."""
    left = list(base)
    changed: list[Function] = []
    # NOTE: unchanged ones first, so that a new namesake is not taken for an old function.
    for function in head:
        same = _unchanged(function, left)
        if same is None:
            changed.append(function)
        else:
            left.remove(same)
            yield function, same
    namesakes: dict[tuple[str, str], list[Function]] = defaultdict(list)
    for old in left:
        namesakes[old.path, old.name].append(old)
    for function in changed:
        known = namesakes[function.path, function.name]
        yield function, known.pop(0) if known else None


def _unchanged(function: Function, left: list[Function]) -> Function | None:
    same = [old for old in left if (old.name, old.measures) == (function.name, function.measures)]
    return next((old for old in same if old.path == function.path), same[0] if same else None)


def _complaint(function: Function, before: Function | None, limits: ComplexitySettings) -> str:
    """What is over a limit and was not, or not as much; empty when nothing is."""
    names = ("cyclomatic complexity", "lines", "parameters")
    most = (limits.cyclomatic, limits.length_lines, limits.parameters)
    old = before.measures if before else (0, 0, 0)
    parts = [
        f"{name} {now} (limit {limit}, {f'was {was}' if before else 'new'})"
        for name, now, was, limit in zip(names, function.measures, old, most, strict=True)
        if now > limit and now > was
    ]
    return f"{function.name}: {', '.join(parts)}" if parts else ""
