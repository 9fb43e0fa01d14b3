"""Who owns a path, by CODEOWNERS as GitHub reads it: the last pattern that fits decides, also when it names nobody."""

from collections.abc import Iterable
from dataclasses import dataclass

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

# Where GitHub looks, in its order; the first that is there counts.
OWNER_FILES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")


@dataclass(frozen=True)
class Ownership:
    pattern: str
    owners: tuple[str, ...]
    matcher: GitIgnoreSpecPattern

    def covers(self, path: str) -> bool:
        return self.matcher.match_file(path) is not None


def read_owners(text: str) -> tuple[Ownership, ...]:
    """The rules in the file's order; lines GitHub does not take (negations, ranges, a bare #) are passed over."""
    rules = []
    for line in text.splitlines():
        words = _words(line)
        if words and not words[0].startswith("!") and "[" not in words[0]:
            rules.append(Ownership(words[0], tuple(words[1:]), GitIgnoreSpecPattern(words[0])))
    return tuple(rules)


def _words(line: str) -> list[str]:
    """The words before a comment; a space of a path is written with a backslash."""
    joined = line.strip().replace("\\ ", "\0")
    words = []
    for word in joined.split():
        if word.startswith("#"):
            break
        words.append(word.replace("\0", " "))
    return words


def owners_of(path: str, rules: Iterable[Ownership]) -> tuple[str, ...]:
    """The owners that the last fitting rule names."""
    last: tuple[str, ...] = ()
    for rule in rules:
        if rule.covers(path) and not _is_too_deep(path, rule.pattern):
            last = rule.owners
    return last


def _is_too_deep(path: str, pattern: str) -> bool:
    """Whether the pattern is `folder/*`, which for GitHub covers that folder's own files only."""
    if not pattern.endswith("/*") or pattern.endswith("**/*") or "*" in pattern[:-1]:
        return False
    folder = pattern.strip("/").removesuffix("/*").strip("/")
    return path.startswith(f"{folder}/") and "/" in path.removeprefix(f"{folder}/")
