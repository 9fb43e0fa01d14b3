"""Which run of which deployment an event asks for, with which parameters.

Names of deployments are a contract. A run of a pull request carries the key that its later runs carry too, so that an
older one can be cancelled; a release carries none: releases queue and are never cancelled for one another.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tasks.core.origin import Origin

# What each deployment takes beside its target. `origin` goes to each that knows it by the time of the hand-over.
_TAKES: Mapping[str, tuple[str, ...]] = {
    "ci": ("ref", "origin"),
    "security": ("ref", "base", "origin"),
    "pr-checks": ("ref", "base", "title", "origin"),
    "cd": ("ref", "who", "why", "wait_seconds", "origin"),
    "canary": ("ref", "who", "why", "wait_seconds", "origin"),
    "production": ("version", "who", "why", "wait_seconds", "origin"),
}
# Releases queue for their environment for as long as a question of the one before may stay open.
_RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_QUEUE_SECONDS = 86_400.0
RELEASES = frozenset({"cd", "canary", "production"})
_CHECKING = ("ci", "security", "pr-checks")
_REMEMBERING = frozenset({"ci", "security"})


@dataclass(frozen=True)
class Start:
    """One run to start. `cancels` is shared with older runs that it makes pointless, empty for one that must not be
    cancelled; `moment` orders them, in ISO form, where GitHub tells one."""

    deployment: str
    parameters: Mapping[str, Any]
    origin: Origin
    cancels: str = ""
    moment: str = ""
    suffix: str = ""

    @property
    def key(self) -> str:
        """What tells it from the other runs of its delivery."""
        return f"{self.deployment}{self.suffix}"

    @property
    def tags(self) -> tuple[str, ...]:
        pull_request = (f"pull-request:{self.origin.pull_request}",) if self.origin.pull_request else ()
        trust = () if self.origin.is_trusted else ("untrusted",)
        return (f"repository:{self.origin.repository}", *pull_request, *trust)


def starts_of(
    deployments: Sequence[str],
    target: str,
    origin: Origin,
    *,
    who: str,
    title: str = "",
    version: str = "",
    moment: str = "",
) -> tuple[Start, ...]:
    """The runs of one event, each with what its deployment takes."""
    known: dict[str, Any] = {
        "ref": origin.commit,
        "base": origin.base or None,
        "title": title,
        "version": version,
        "who": who,
        "why": f"GitHub delivery about {origin.repository}",
        "wait_seconds": _QUEUE_SECONDS,
        "origin": origin.model_dump(mode="json"),
    }
    return tuple(
        Start(
            name,
            {"target": target} | {key: known[key] for key in _TAKES[name] if known[key] is not None},
            origin,
            cancels=_cancels(name, origin),
            moment=moment,
        )
        for name in deployments
    )


def _cancels(deployment: str, origin: Origin) -> str:
    is_of_pull_request = origin.pull_request and deployment not in RELEASES
    return f"{origin.repository}#{origin.pull_request}:{deployment}".casefold() if is_of_pull_request else ""


def deployment_of_check(check: str) -> str:
    """Which deployment runs a check, from its name or its key; a pull request's own checks have names of none."""
    words = _words_of(check)
    return words[0] if words and words[0] in _CHECKING else "pr-checks"


def _words_of(check: str) -> list[str]:
    """The flow, where it is named, and the parts of the check's id."""
    words = [word for word in re.split(r"[:/\s]+", check.replace("(push)", " ")) if word]
    # What stands before the flow: the run in a check's key, Towpath's name in that of a whole run.
    while words and (words[0].casefold() == "towpath" or _RUN.fullmatch(words[0].casefold())):
        words.pop(0)
    return [words[0].casefold().replace("_", "-"), *words[1:]] if words else []


def again(start: Start, check: str) -> Start:
    """The same run once more, believing no earlier result of the check, or of any where the whole run is meant.

    The checks of a pull request remember nothing, and are all made again.
    """
    kept = {name: value for name, value in start.parameters.items() if name not in ("use_cache", "afresh")}
    words = _words_of(check)
    names = words[1:] if words[:1] == [start.deployment] else words
    asked: dict[str, Any] = {"afresh": ["/".join(names)]} if names else {"use_cache": False}
    is_remembering = start.deployment in _REMEMBERING
    return replace(start, parameters=kept | asked if is_remembering else kept, suffix="-again")
