"""Labels by changed paths, as `.github/labeler.yml` of actions/labeler (version 5) describes them.

A file that cannot be understood is refused in one line: a label that silently never comes is worse than none.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wcmatch import glob

from tasks.core.pull_requests.change import Change

_FLAGS = glob.GLOBSTAR | glob.DOTGLOB | glob.BRACE | glob.EXTGLOB | glob.NEGATE | glob.NEGATEALL | glob.FORCEUNIX
# What a pattern may grow to; more is an attack, or a mistake.
_MOST_PATTERNS = 1000


class LabelsRefused(Exception):
    """The labels' configuration cannot be used; the text is one line."""


@dataclass(frozen=True)
class LabelRules:
    """`wanted` are those that fit a change, `pool` all that the rules know."""

    wanted: tuple[str, ...]
    pool: tuple[str, ...]


_FILE = ".github/labeler.yml"


def labels_by_table(change: Change, table: Mapping[str, tuple[str, ...]]) -> LabelRules:
    """By [pull_requests.labels] of towpath.toml: a label fits when any pattern fits any changed path."""
    paths = _paths(change)
    fits = tuple(label for label, patterns in table.items() if _any_to_any(patterns, paths))
    return LabelRules(fits, tuple(table))


def labels_by_labeler(change: Change, content: Any) -> LabelRules:
    """By the parsed labeler.yml. Raises LabelsRefused."""
    if content is None:
        return LabelRules((), ())
    if not isinstance(content, dict):
        raise LabelsRefused(f"{_FILE} must map labels to rules")
    wanted = [label for label, rules in content.items() if _fits_label(label, rules, change)]
    return LabelRules(tuple(wanted), tuple(content))


def _fits_label(label: Any, rules: Any, change: Change) -> bool:
    """All blocks must fit; rules that stand in no block make up one `any` block together."""
    if not isinstance(label, str) or not isinstance(rules, list) or not rules:
        raise LabelsRefused(f"{_FILE}: {label}: expected a list of rules")
    blocks: list[tuple[str, list[Mapping[str, Any]]]] = []
    loose: list[Mapping[str, Any]] = []
    for rule in rules:
        for key, value in _table(label, rule).items():
            if key in ("any", "all"):
                blocks.append((key, [_table(label, each) for each in _listed(label, key, value)]))
            else:
                loose.append({key: value})
    blocks += [("any", loose)] if loose else []
    fits = [_fits_block(label, key, inner, change) for key, inner in blocks]
    return all(fits)


def _table(label: str, rule: Any) -> Mapping[str, Any]:
    if isinstance(rule, str):
        advice = "write changed-files with any-glob-to-any-file"
        raise LabelsRefused(f"{_FILE}: {label}: a bare pattern is the form of version 4: {advice}")
    if not isinstance(rule, dict) or not rule:
        raise LabelsRefused(f"{_FILE}: {label}: expected changed-files, base-branch, head-branch, any or all")
    return rule


def _fits_block(label: str, key: str, rules: Iterable[Mapping[str, Any]], change: Change) -> bool:
    """Whether any or all of the conditions hold, each key of each rule being one."""
    quantifier = any if key == "any" else all
    # NOTE: a list, so that a fault in a rule is told also when another rule has decided already.
    holds = [_holds(label, name, value, change, quantifier) for rule in rules for name, value in rule.items()]
    return quantifier(holds)


def _holds(label: str, name: str, value: Any, change: Change, quantifier: "_Quantifier") -> bool:
    match name:
        case "changed-files":
            rules = value if isinstance(value, list) else [value]
            fits = [_fits_files(label, rule, change, quantifier) for rule in rules]
            return bool(fits) and quantifier(fits)
        case "base-branch":
            return _fits_branch(label, _words(label, name, value), change.base_branch)
        case "head-branch":
            return _fits_branch(label, _words(label, name, value), change.head_branch)
        case _:
            known = "changed-files, base-branch, head-branch, any, all"
            raise LabelsRefused(f"{_FILE}: {label}: {name} is not known; known are {known}")


def _listed(label: str, key: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise LabelsRefused(f"{_FILE}: {label}: {key} must be a list")
    return value


def _words(label: str, key: str, value: Any) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise LabelsRefused(f"{_FILE}: {label}: {key} must be text or a list of texts")
    return tuple(words)


def _fits_branch(label: str, patterns: tuple[str, ...], branch: str) -> bool:
    try:
        return bool(branch) and any(re.search(pattern, branch) for pattern in patterns)
    except re.error as broken:
        raise LabelsRefused(f"{_FILE}: {label}: {broken.pattern!r} is no regular expression") from broken


def _fits_files(label: str, rule: Any, change: Change, quantifier: "_Quantifier") -> bool:
    """One rule over the changed paths; a bare pattern is any-glob-to-any-file."""
    if isinstance(rule, str):
        return _any_to_any((rule,), _paths(change))
    if not isinstance(rule, dict) or not rule:
        raise LabelsRefused(f"{_FILE}: {label}: changed-files expects rules such as any-glob-to-any-file")
    if unknown := [key for key in rule if key not in _RULES]:
        raise LabelsRefused(f"{_FILE}: {label}: {unknown[0]} is not known; known are {', '.join(_RULES)}")
    return quantifier([_RULES[key](_words(label, key, value), _paths(change)) for key, value in rule.items()])


def _paths(change: Change) -> tuple[str, ...]:
    """As GitHub lists them: a renamed file by its new name."""
    return tuple(file.path for file in change.files)


_Quantifier = Callable[[Iterable[bool]], bool]


def _fits(path: str, pattern: str) -> bool:
    return glob.globmatch(path, pattern, flags=_FLAGS, limit=_MOST_PATTERNS)


def _any_to_any(patterns: tuple[str, ...], paths: tuple[str, ...]) -> bool:
    return any(_fits(path, pattern) for pattern in patterns for path in paths)


def _any_to_all(patterns: tuple[str, ...], paths: tuple[str, ...]) -> bool:
    """Whether one pattern fits every file. Of no file nothing is said."""
    return bool(paths) and any(all(_fits(path, pattern) for path in paths) for pattern in patterns)


def _all_to_any(patterns: tuple[str, ...], paths: tuple[str, ...]) -> bool:
    """Whether one file fits every pattern."""
    return any(all(_fits(path, pattern) for pattern in patterns) for path in paths)


def _all_to_all(patterns: tuple[str, ...], paths: tuple[str, ...]) -> bool:
    return bool(paths) and all(_fits(path, pattern) for pattern in patterns for path in paths)


_RULES: dict[str, Callable[[tuple[str, ...], tuple[str, ...]], bool]] = {
    "any-glob-to-any-file": _any_to_any,
    "any-glob-to-all-files": _any_to_all,
    "all-globs-to-any-file": _all_to_any,
    "all-globs-to-all-files": _all_to_all,
}
