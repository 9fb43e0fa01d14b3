"""Whether a pull request's title says what kind of change it is, in a form that a release's notes can be made from."""

import re

from tasks.core.outcome import Outcome, Verdict
from tasks.core.prose import flat

_KINDS_IN_WORDS = (
    ("fix", ("fix", "bug", "repair", "correct", "mend", "hotfix")),
    ("docs", ("doc", "readme", "changelog", "comment")),
    ("test", ("test", "spec")),
    ("refactor", ("refactor", "rename", "clean", "simplif", "move")),
    ("perf", ("speed", "perf", "faster", "optimi")),
    ("build", ("bump", "upgrade", "dependenc", "docker")),
    ("ci", ("workflow", "pipeline", "actions")),
)
_LONGEST = 200


def judge_title(title: str, *, pattern: str, types: tuple[str, ...]) -> Outcome:
    """A title against the team's pattern, or where there is none against Conventional Commits with these types."""
    shown = flat(title)[:_LONGEST]
    if not shown:
        return Outcome(Verdict.FAILED, "the title is empty", remedy=f"write one, for instance {_example(types)}")
    if pattern:
        return _against(pattern, shown)
    if why := _why_not(title, types):
        return Outcome(Verdict.FAILED, f"{shown!r} {why}", remedy=f"change it to: {suggest_title(title, types)}")
    return Outcome(Verdict.PASSED, shown)


def _example(types: tuple[str, ...]) -> str:
    return f'"{types[0] if types else "feat"}: say what it does"'


def _against(pattern: str, title: str) -> Outcome:
    if re.search(pattern, title):
        return Outcome(Verdict.PASSED, title)
    reason = f"{title!r} does not match pull_requests.title.pattern"
    return Outcome(Verdict.FAILED, reason, remedy=f"change it to match {pattern}")


_CONVENTIONAL = re.compile(r"^(?P<type>[A-Za-z]+)(?P<scope>\([^()\n]+\))?(?P<breaking>!)?: (?P<subject>\S[^\n]*)$")


def _why_not(title: str, types: tuple[str, ...]) -> str:
    """What is wrong with it, empty when nothing is."""
    if title != title.strip() or "\n" in title or "\r" in title:
        return "has space around it or more than one line"
    found = _CONVENTIONAL.match(title)
    if found is None:
        return "is not of the form type(scope): subject"
    if found["type"] not in types:
        return f"has the type {found['type']!r}; known are {', '.join(types)}"
    return ""


def suggest_title(title: str, types: tuple[str, ...]) -> str:
    """The nearest title that would do."""
    words = flat(title)
    found = re.match(r"^(?P<type>[A-Za-z]+)\s*(?P<scope>\([^()]+\))?\s*(?P<breaking>!)?\s*:\s*(?P<rest>.*)$", words)
    if found is None:
        return f"{_kind_of(words, types)}: {_subject(words)}"
    known = found["type"].lower() if found["type"].lower() in types else _kind_of(words, types)
    return f"{known}{found['scope'] or ''}{found['breaking'] or ''}: {_subject(found['rest'])}"


def _kind_of(words: str, types: tuple[str, ...]) -> str:
    lower = words.lower()
    fits = [kind for kind, signs in _KINDS_IN_WORDS if kind in types and any(sign in lower for sign in signs)]
    return (fits or [kind for kind in ("feat", *types) if kind in types] or ["feat"])[0]


def _subject(words: str) -> str:
    """A capital at the beginning of an ordinary word goes; that of a name or an abbreviation stays."""
    rest = words.lstrip(": ").rstrip(".") or "say what it does"
    return rest[0].lower() + rest[1:] if len(rest) > 1 and rest[1].islower() else rest
