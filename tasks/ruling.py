"""Whose rules a run is held to: the target's own, or, of a pull request, those of its base.

It solves that a change could switch off the gate it is held to, waive its own findings, or call its own secrets known.
It promises that configuration, waivers, baselines and VEX documents of a pull request count only as the base has them,
and that the report says where the pull request changes them.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from tasks.adapters.pull_requests import PullRequest, read_pull_request, repository_of
from tasks.adapters.snapshots import Snapshot, TargetRefused
from tasks.core.origin import Origin
from tasks.core.plan import matches
from tasks.core.rules import EXCEPTIONS, Rules
from tasks.core.settings import Settings, SettingsRefused, read_settings
from tasks.preparing import configure
from tasks.retrying import BadInput

_CONFIGURATION = ("towpath.toml", "pyproject.toml")


async def settings_and_rules(
    target: str, origin: Origin | None, snapshot: Snapshot, overrides: tuple[str, ...], state: Path
) -> tuple[Settings, Rules]:
    """The settings of a run, and what else decides over it. Raises BadInput."""
    if origin is None or not origin.pull_request:
        return configure(snapshot, overrides), Rules()
    pull = await _pull_request(target, origin, snapshot, state)
    settings, texts = await settings_of_base(pull, overrides)
    documents = [path for path in snapshot.files if any(matches(path, like) for like in settings.security.vex)]
    texts |= await _texts(pull, (*EXCEPTIONS, *documents))
    return settings, Rules(texts, tuple(_changed(snapshot, texts, documents, origin.base)))


async def settings_of_base(pull: PullRequest, overrides: tuple[str, ...]) -> tuple[Settings, dict[str, str]]:
    """The base's configuration with the run's own words over it, and its texts. Raises BadInput."""
    texts = await _texts(pull, _CONFIGURATION)
    try:
        return read_settings(texts, overrides), texts
    except SettingsRefused as refused:
        raise BadInput(f"{base_of(pull)}: {refused}") from refused


def base_of(pull: PullRequest) -> str:
    """The base as people name it."""
    return pull.change.base_branch or pull.change.base[:12]


def decided_elsewhere(path: str, base: str) -> str:
    return f"the pull request changes {path}: what {base} says there decided this run"


async def _pull_request(target: str, origin: Origin, snapshot: Snapshot, state: Path) -> PullRequest:
    try:
        directory = await repository_of(target, state=state)
        head = snapshot.revision
        return await read_pull_request(directory, base=origin.base, head=head, head_branch="", target=target)
    except TargetRefused as refused:
        raise BadInput(str(refused)) from refused


async def _texts(pull: PullRequest, names: Iterable[str]) -> dict[str, str]:
    found = [await pull.base_file(name) for name in names]
    return {name: text for name, text in found if name}


def _changed(snapshot: Snapshot, texts: Mapping[str, str], documents: Iterable[str], base: str) -> Iterable[str]:
    for name in dict.fromkeys((_CONFIGURATION[0], *EXCEPTIONS, *documents)):
        own = None
        with suppress(OSError):
            own = (snapshot.tree / name).read_text("utf-8", "replace") if name in snapshot.files else None
        if own != texts.get(name):
            yield decided_elsewhere(name, base)
