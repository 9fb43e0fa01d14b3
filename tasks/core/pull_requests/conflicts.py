"""What `git merge-tree` says of a merge that nobody has made, and whether it could be made."""

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.core.outcome import Outcome, Verdict
from tasks.core.pull_requests.change import Change
from tasks.core.results import CheckResult, Place, result_of
from tasks.core.tools.contract import Unreadable

_SHOWN = 5


@dataclass(frozen=True)
class Conflict:
    """A file that does not merge, and in git's words why."""

    path: str
    message: str


def read_merge(text: str) -> tuple[Conflict, ...]:
    """The conflicts in what `git merge-tree --write-tree -z --messages` wrote. Raises Unreadable."""
    tree, _, rest = text.partition("\0")
    if len(tree) not in (40, 64) or set(tree) - set("0123456789abcdef"):
        raise Unreadable("git merge-tree did not begin with a tree")
    stages, _, told = rest.partition("\0\0") if not rest.startswith("\0") else ("", "", rest[1:])
    paths = dict.fromkeys(record.partition("\t")[2] for record in stages.split("\0") if "\t" in record)
    messages = _messages(told)
    return tuple(Conflict(path, messages.get(path, "CONFLICT")) for path in paths)


def _messages(told: str) -> dict[str, str]:
    """The first message of a conflict by each path that it names."""
    words = iter(told.split("\0"))
    found: dict[str, str] = {}
    for count in words:
        if not count.strip().isdigit():
            break
        paths = [next(words, "") for _ in range(int(count))]
        kind, message = next(words, ""), next(words, "")
        for path in paths:
            if kind.startswith("CONFLICT"):
                found.setdefault(path, message.strip())
    return found


def judge_conflicts(
    change: Change, conflicts: Iterable[Conflict] | None, culprits: tuple[str, ...], *, check_id: str
) -> CheckResult:
    """Fails for files that do not merge or still hold markers; an error where no merge can be tried at all.

    `conflicts` is None where the two lines have no commit in common; `culprits` are commits of the base that touch the
    files, each as it is shown.
    """
    marked = tuple(
        Place(path=file.path, line=line, message="a conflict marker was left here", code="conflict-marker")
        for file in change.files
        for line in file.markers
    )
    if conflicts is None:
        reason = f"{change.head[:12]} and {change.base_branch or change.base[:12]} have no commit in common"
        remedy = f"git fetch --unshallow; or rebase it: git rebase {change.base_branch or change.base[:12]}"
        return _with(result_of(check_id, Outcome(Verdict.ERROR, reason, remedy=remedy), tool="git"), marked)
    clashes = tuple(Place(path=each.path, message=each.message, code="merge-conflict") for each in conflicts)
    outcome = _outcome(change, clashes, marked, culprits)
    return _with(result_of(check_id, outcome, tool="git"), (*clashes, *marked))


def _with(result: CheckResult, places: tuple[Place, ...]) -> CheckResult:
    return result.model_copy(update={"problems": places[:200]})


def _outcome(
    change: Change, clashes: tuple[Place, ...], marked: tuple[Place, ...], culprits: tuple[str, ...]
) -> Outcome:
    base = change.base_branch or change.base[:12]
    if clashes:
        since = f", changed there by {_listed(culprits)}" if culprits else ""
        reason = f"{len(clashes)} files do not merge into {base}: {_listed([each.path for each in clashes])}{since}"
        return Outcome(Verdict.FAILED, reason, remedy=f"git merge {base}, and resolve the conflicts")
    if marked:
        places = _listed([f"{each.path}:{each.line}" for each in marked])
        return Outcome(
            Verdict.FAILED, f"conflict markers were left in {places}", remedy="choose a side and remove them"
        )
    return Outcome(Verdict.PASSED, f"merges into {base} at {change.base[:12]}")


def _listed(words: Iterable[str]) -> str:
    found = list(words)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
