"""How much of the code, and of the change, tests reach; and whether that is less than on the base.

It is read from the Cobertura reports that recorded CI runs left. A report that is missing is an error and says how to
get it: without a figure nothing has passed.
"""

import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from xml.etree import ElementTree

from tasks.core.outcome import Outcome, Verdict
from tasks.core.pull_requests.change import Change, ChangedFile
from tasks.core.pull_requests.settings import ChangedCoverageSettings
from tasks.core.results import CheckResult, Place, result_of
from tasks.core.tools.contract import Unreadable

MEASURED = (".py", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", ".vue", ".svelte")
_SHOWN = 5
Hits = Mapping[str, Mapping[int, int]]


@dataclass(frozen=True)
class Recorded:
    """What a CI run of a commit measured; `hits` is None where there is no such run, and `why` says so."""

    commit: str
    hits: Hits | None
    why: str = ""


def read_hits(texts: Iterable[str]) -> Hits:
    """Path to line to number of visits, of several Cobertura reports together. Raises Unreadable."""
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for text in texts:
        try:
            # expat refuses entity bombs, and the report was written by a run of ours
            root = ElementTree.fromstring(text)  # noqa: S314
        except ElementTree.ParseError as broken:
            raise Unreadable("a coverage report is broken or truncated") from broken
        prefix = _prefix(root)
        for module in root.iter("class"):
            lines = found[f"{prefix}{module.get('filename', '')}"]
            for line in module.iter("line"):
                number = int(line.get("number", "0"))
                lines[number] = max(lines.get(number, 0), int(line.get("hits", "0")))
    return found


def _prefix(root: ElementTree.Element) -> str:
    """The folder below the target that a report counts from; nothing where it names several or is outside."""
    sources = {(each.text or "").strip().rstrip("/") for each in root.iter("source")}
    only = sources.pop() if len(sources) == 1 else ""
    # NOTE: a run's snapshot lies in .../slot-N/tree, and paths in reports begin there.
    _, marker, below = only.partition("/tree/")
    if marker:
        return f"{below.strip('/')}/"
    return "" if not only or only.startswith("/") or only == "." else f"{only}/"


def percent(hits: Hits) -> float | None:
    """Per cent of all lines; None where there is none."""
    visits = [count for lines in hits.values() for count in lines.values()]
    return 100.0 * sum(count > 0 for count in visits) / len(visits) if visits else None


def changed_lines(
    change: Change, hits: Hits, unmeasured: Collection[str] = ()
) -> tuple[int, tuple[tuple[str, int], ...]]:
    """How many changed lines are code, and those that no test reaches: of a file in `unmeasured`, every one."""
    known = [(file.path, line, count) for file in change.files for line, count in _visits(file, hits, unmeasured)]
    return len(known), tuple((path, line) for path, line, count in known if not count)


def _visits(file: ChangedFile, hits: Hits, unmeasured: Collection[str]) -> list[tuple[int, int]]:
    if file.path in unmeasured:
        return [(line, 0) for span in file.added for line in range(span.first, span.last + 1)]
    return [(line, count) for line, count in sorted(hits.get(file.path, {}).items()) if file.adds(line)]


def covers(change: Change) -> bool:
    """Whether it changes any file that tests could cover."""
    return any(file.path.endswith(MEASURED) for file in change.files)


def judge_coverage(
    change: Change,
    head: Recorded,
    base: Recorded,
    settings: ChangedCoverageSettings,
    *,
    target: str,
    check_id: str,
    expected: Mapping[str, str] = MappingProxyType({}),
) -> CheckResult:
    """`expected` are changed files that tests should measure, each with why a report would not mention it."""
    if not covers(change):
        return result_of(check_id, Outcome(Verdict.SKIPPED, "no file changed that tests could cover"))
    for recorded, what in ((head, "the pull request"), (base, "the base")):
        if recorded.hits is None or percent(recorded.hits) is None:
            why = recorded.why or "its CI measured no line"
            remedy = f"towpath ci {shlex.quote(target)} --ref {recorded.commit}"
            reason = f"no coverage of {what} ({recorded.commit[:12]}): {why}"
            return result_of(check_id, Outcome(Verdict.ERROR, reason, remedy=remedy))
    assert head.hits is not None
    assert base.hits is not None
    unmeasured = {path: why for path, why in expected.items() if path not in head.hits}
    return _judged(change, (head.hits, base.hits), settings, check_id, unmeasured)


def _judged(
    change: Change,
    both: tuple[Hits, Hits],
    settings: ChangedCoverageSettings,
    check_id: str,
    unmeasured: Mapping[str, str],
) -> CheckResult:
    now, before = (percent(hits) or 0.0 for hits in both)
    count, missed = changed_lines(change, both[0], unmeasured)
    of_change = 100.0 * (count - len(missed)) / count if count else 100.0
    faults = [
        *([f"{now:.1f} % in all is below {settings.minimum_percent:g} %"] if now < settings.minimum_percent else []),
        *_faults_of_change(of_change, count, settings),
        *([f"{before - now:.1f} points less than the base's {before:.1f} %"] if _fell(now, before, settings) else []),
    ]
    if unmeasured and faults:
        faults.append(f"in no coverage report: {_listed(unmeasured)}")
    said = f"{now:.1f} % in all (base {before:.1f} %), " + (
        f"{of_change:.1f} % of {count} changed lines" if count else "no changed line is measured"
    )
    remedy = _remedy(missed) if faults else ""
    outcome = Outcome(
        Verdict.FAILED if faults else Verdict.PASSED, "; ".join(faults) if faults else said, remedy=remedy
    )
    places = tuple(_stretches(missed, unmeasured))
    result = result_of(check_id, outcome).model_copy(
        update={
            "measures": {"percent": now, "base_percent": before, "changed_percent": of_change, "changed_lines": count}
        }
    )
    return result.model_copy(update={"problems": places[:200]} if faults else {"gaps": places[:20]})


def _fell(now: float, before: float, settings: ChangedCoverageSettings) -> bool:
    return before - now > settings.tolerance_percent + 1e-9


def _faults_of_change(of_change: float, count: int, settings: ChangedCoverageSettings) -> list[str]:
    if not count or of_change >= settings.changed_minimum_percent:
        return []
    return [f"{of_change:.1f} % of {count} changed lines is below {settings.changed_minimum_percent:g} %"]


def _remedy(missed: tuple[tuple[str, int], ...]) -> str:
    return f"test the changed lines, first {missed[0][0]}:{missed[0][1]}" if missed else "test what is not covered yet"


def _listed(unmeasured: Mapping[str, str]) -> str:
    shown = [f"{path} ({why})" for path, why in sorted(unmeasured.items())]
    return ", ".join(shown[:_SHOWN]) + (f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")


def _stretches(missed: Iterable[tuple[str, int]], unmeasured: Mapping[str, str]) -> Iterable[Place]:
    """Neighbouring lines as one place."""
    found: list[list[int]] = []
    paths: list[str] = []
    for path, line in missed:
        if paths and paths[-1] == path and found[-1][-1] + 1 == line:
            found[-1].append(line)
        else:
            paths.append(path)
            found.append([line])
    for path, lines in zip(paths, found, strict=True):
        span = f"lines {lines[0]} to {lines[-1]} are" if len(lines) > 1 else f"line {lines[0]} is"
        why = f"in no coverage report: {unmeasured[path]}" if path in unmeasured else "not covered"
        code = "unmeasured" if path in unmeasured else "uncovered"
        yield Place(path=path, line=lines[0], message=f"{span} new and {why}", code=code)
