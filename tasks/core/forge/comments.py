"""One comment that is edited in place, and what it remembers between runs without anybody seeing it.

It solves that a comment for each run buries a review, and that labels set by a machine cannot be told from a person's.
It promises that only a comment with our mark counts, and that the labels Towpath set are known wherever the next run
happens. Its author must be asked too: anybody can write the mark.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

# GitHub takes 65,536 characters.
_CHARACTERS = 60_000
_NAME = re.compile(r"[a-z-]{1,40}")
_MEMORY = re.compile(r"<!-- towpath:labels=([^ ]*) -->")


def marked(text: str, *, name: str, labels: Iterable[str] = ()) -> str:
    """The comment's body: its mark, what it remembers, and the text, shortened to what a forge takes."""
    remembered = ",".join(quote(label, safe="") for label in sorted(labels))
    head = f"{mark(name)}\n<!-- towpath:labels={remembered} -->\n"
    cut = "\n\n… (shortened: the report has it whole)"
    room = _CHARACTERS - len(head)
    return head + (text if len(text) <= room else text[: room - len(cut)] + cut)


def mark(name: str) -> str:
    """What a comment of this name begins with; the name is in small letters and dashes."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"a comment's name is in small letters and dashes, not {name!r}")
    return f"<!-- towpath:{name} -->"


def is_marked(body: str, name: str) -> bool:
    return body.startswith(mark(name))


def remembered_labels(body: str) -> frozenset[str]:
    """The labels that Towpath had set when it wrote this comment."""
    found = _MEMORY.search(body)
    return frozenset(unquote(word) for word in found[1].split(",") if word) if found else frozenset()


def with_labels(body: str, labels: Iterable[str]) -> str:
    """The same comment remembering other labels."""
    remembered = ",".join(quote(label, safe="") for label in sorted(labels))
    return _MEMORY.sub(lambda _: f"<!-- towpath:labels={remembered} -->", body, count=1)


@dataclass(frozen=True)
class LabelChange:
    """What to add and to take away, and what Towpath will have set then."""

    added: frozenset[str]
    removed: frozenset[str]
    own: frozenset[str]


def label_change(
    *, present: frozenset[str], wanted: frozenset[str], pool: frozenset[str], own: frozenset[str]
) -> LabelChange:
    """`present` is on the pull request, `own` of that was set by Towpath before, and `pool` is all it may set.

    A label a person set is theirs: it is never taken away, and being wanted too does not make it ours.
    """
    allowed = wanted & pool
    added = allowed - present
    removed = (own & present & pool) - allowed
    return LabelChange(added, removed, added | (own & present & allowed))
