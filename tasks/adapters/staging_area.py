"""Where a repository's top is, and all paths its index knows, as the commit being made has them."""

import os
from pathlib import Path

from tasks.adapters import git
from tasks.adapters.git import TargetRefused


async def top_of(folder: Path) -> Path:
    """The work tree's top folder. Raises TargetRefused in one line."""
    if not folder.is_dir():
        raise TargetRefused(f"{folder} is no folder: name one inside a git work tree")
    try:
        return Path(await git.line_of("rev-parse", "--show-toplevel", directory=folder))
    except git.GitError as failure:
        raise git.refusal(failure, str(folder)) from failure


async def index_files(repository: Path) -> list[str]:
    """Every path in the index, from the top."""
    try:
        found = await git.git("ls-files", "-z", directory=repository, environment=git.hook_variables(repository))
    except git.GitError as failure:
        raise git.refusal(failure, str(repository)) from failure
    return [os.fsdecode(path) for path in found.split(b"\0") if path]
