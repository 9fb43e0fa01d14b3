"""Where in the code something is, told by the code and not by its number.

It solves that every line above moves all numbers below. It promises the same answer wherever a fragment is moved to, in
whatever file and however deep it is indented, and bounded work on any line. It must never hold the code itself.
"""

import hashlib
from collections.abc import Sequence

# A minified file has one line of megabytes; its beginning tells it well enough.
_LONGEST = 2000
# How far a neighbour is looked for across empty lines.
_FARTHEST = 50


def context_of(lines: Sequence[str], line: int | None) -> str:
    """The hash of a line, counted from 1, with the nearest line above and below that is not empty.

    Empty where there is no such line, so that nobody takes two unknown places for the same.
    """
    if line is None or not 1 <= line <= len(lines):
        return ""
    here = line - 1
    above = range(here - 1, max(here - 1 - _FARTHEST, -1), -1)
    below = range(here + 1, min(here + 1 + _FARTHEST, len(lines)))
    before, after = _nearest(lines, above), _nearest(lines, below)
    fragment = [part for part in (before, _bare(lines[here]), after) if part]
    return hashlib.sha256("\n".join(fragment).encode("utf-8", "surrogatepass")).hexdigest()[:32] if fragment else ""


def _nearest(lines: Sequence[str], numbers: range) -> str:
    return next((bare for number in numbers if (bare := _bare(lines[number]))), "")


def _bare(line: str) -> str:
    return line[:_LONGEST].strip()
