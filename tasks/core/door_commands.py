"""What somebody may ask for in a comment, and how it is written: a line of its own that begins with `/towpath`.

A comment holds at most one command, so that nobody approves by a line that was overlooked under another. Quoted lines
and lines inside code fences are talk about commands and are not heard.
"""

import re
from dataclasses import dataclass

from tasks.core.approval import Decision

_WORD = "/towpath"
_RUN = re.compile(r"^[0-9a-f][0-9a-f-]{7,35}$")
_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_REF = re.compile(r"^[A-Za-z0-9_][\w./-]{0,200}$")
_CHECK = re.compile(r"^[A-Za-z0-9_][\w.:/ @()-]{0,200}$")
KNOWN = "approve RUN, reject RUN, canary start [REF], rerun CHECK, ok COMMIT"


@dataclass(frozen=True)
class Answering:
    """An answer to a run that waits for an approval."""

    decision: Decision
    run: str
    reason: str


@dataclass(frozen=True)
class StartCanary:
    """A canary of a revision; without `ref`, of the pull request's head."""

    ref: str


@dataclass(frozen=True)
class Rerun:
    """A check again, with nothing remembered of it."""

    check: str


@dataclass(frozen=True)
class Allow:
    """A stranger's commit may run: this one and no other."""

    commit: str


Word = Answering | StartCanary | Rerun | Allow


@dataclass(frozen=True)
class NotUnderstood:
    """It was meant for Towpath, and cannot be done; why, in one line."""

    reason: str


def read_comment(body: str) -> Word | NotUnderstood | None:
    """The command of a comment; None where it holds none."""
    found = [line.split() for line in _spoken_lines(body) if line.split()[:1] == [_WORD]]
    if not found:
        return None
    if len(found) > 1:
        return NotUnderstood("a comment takes one command: write the others in comments of their own")
    return _command(found[0][1:])


def _spoken_lines(body: str) -> list[str]:
    lines, is_code = [], False
    for line in body.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            is_code = not is_code
        elif not is_code and not line.startswith(("    ", "\t", ">")):
            lines.append(line)
    return lines


def _command(words: list[str]) -> Word | NotUnderstood:
    match words:
        case ["approve" | "reject" as decision, run, *reason] if _RUN.match(run):
            return Answering(Decision(decision), run, " ".join(reason)[:500])
        case ["approve" | "reject" as decision, *_]:
            return NotUnderstood(f"{decision} takes the id of a run, or its first 8 characters or more")
        case ["canary", "start"]:
            return StartCanary("")
        case ["canary", "start", ref] if _REF.match(ref) and ".." not in ref:
            return StartCanary(ref)
        case ["rerun", *check] if check and _CHECK.match(" ".join(check)):
            return Rerun(" ".join(check))
        case ["ok", commit] if _COMMIT.match(commit):
            return Allow(commit)
        case ["ok", *_]:
            return NotUnderstood("ok takes the whole hash of one commit, 40 characters: a shorter one can be forged")
        case _:
            return NotUnderstood(f"{' '.join(words[:3])[:60] or 'nothing'} is no command; known: {KNOWN}")
