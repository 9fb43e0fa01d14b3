"""What git says of a commit beyond its tree: who made it, and whether a word is a version tag."""

import re
from pathlib import Path

from tasks.adapters import git
from tasks.adapters.git import GitError
from tasks.adapters.snapshots import Snapshot, mirror_of

# https://semver.org, with the v that tags commonly have.
_VERSION = re.compile(r"^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$")


def is_version(word: str) -> bool:
    return bool(_VERSION.match(word))


async def author_of(target: str, snapshot: Snapshot, *, state: Path) -> str:
    """The name the commit gives for its author, as claimed there; empty when git does not say."""
    folder = Path(target).expanduser()
    place = folder if folder.is_dir() else mirror_of(target, state=state)
    try:
        return await git.line_of("log", "-1", "--format=%an", snapshot.revision, "--", directory=place)
    except (GitError, OSError):
        return ""


async def committed_at(target: str, snapshot: Snapshot, *, state: Path) -> int:
    """Seconds since 1970 of the commit, by which builds are dated; 0 when git does not say."""
    folder = Path(target).expanduser()
    place = folder if folder.is_dir() else mirror_of(target, state=state)
    try:
        return int(await git.line_of("log", "-1", "--format=%ct", snapshot.revision, "--", directory=place))
    except (GitError, OSError, ValueError):
        return 0
