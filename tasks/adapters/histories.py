"""A target's commits in a repository of our own, for scanners that read the history.

The target's repository is never handed to a scanner: its configuration could name programs for git to run. A history
that is not whole is refused, since what is not there cannot be said to be clean.
"""

import os
import shutil
from pathlib import Path

from tasks.adapters import git, locks
from tasks.adapters.git import GitError
from tasks.adapters.snapshots import mirror_of, origin_of

HEAD = "refs/heads/towpath-scan"


class HistoryRefused(Exception):
    """The history cannot be read whole; the text is one line: what, where, what to do."""


async def history_of(target: str, commit: str, *, base: str, state: Path) -> Path:
    """A bare repository whose branch `towpath-scan` is at the commit, with everything before it.

    Raises HistoryRefused for a shallow clone, an unknown base, or when git says no.
    """
    source, is_address = origin_of(target)
    origin = str(mirror_of(source, state=state)) if is_address else await _repository(Path(source))
    place = mirror_of(source, state=state).with_suffix(".history")
    async with locks.wait_for_lock(place.with_suffix(".history-lock")):
        try:
            if not (place / "HEAD").exists():
                place.mkdir(parents=True, exist_ok=True)
                await git.git("init", "--quiet", "--bare", "--template=", ".", directory=place)
            await git.git("symbolic-ref", "HEAD", HEAD, directory=place)
            wanted = (f"+{commit}:{HEAD}", *((f"+{base}:refs/heads/towpath-base",) if base else ()))
            bring = (
                "fetch",
                "--quiet",
                "--no-tags",
                "--force",
                "--update-head-ok",
                "--update-shallow",
                "--",
                origin,
                *wanted,
            )
            await git.git(*bring, directory=place, has_network=True)
            await _refuse_shallow(place, source, base)
        except GitError as failure:
            raise HistoryRefused(
                f"the history could not be read: {git.refusal(failure, git.mask(target))}"
            ) from failure
    return place


async def _repository(directory: Path) -> str:
    try:
        found = await git.git("rev-parse", "--path-format=absolute", "--git-common-dir", directory=directory)
    except GitError as failure:
        raise HistoryRefused(str(git.refusal(failure, str(directory)))) from failure
    return os.fsdecode(found.removesuffix(b"\n"))


async def _refuse_shallow(place: Path, source: str, base: str) -> None:
    is_shallow = await git.line_of("rev-parse", "--is-shallow-repository", directory=place)
    if is_shallow == "true" and not base:
        # NOTE: a copy that began shallow stays so, also when the clone it came from is whole one day.
        shutil.rmtree(place, ignore_errors=True)
        shown = git.mask(source)
        raise HistoryRefused(f"{shown} is a shallow clone, its history is not whole: git fetch --unshallow")


async def count_commits(history: Path, span: str) -> int:
    """How many commits there are, in a range or in all. Raises HistoryRefused."""
    try:
        return int(await git.line_of("rev-list", "--count", span or HEAD, "--", directory=history))
    except (GitError, ValueError) as failure:
        raise HistoryRefused(f"the commits of {span or HEAD} cannot be counted: {failure}") from failure


async def make_history(tree: Path) -> Path:
    """A repository with one commit of everything in a folder; used to try a scanner of histories."""
    nobody = {
        "GIT_AUTHOR_NAME": "Towpath",
        "GIT_AUTHOR_EMAIL": "towpath@localhost",
        "GIT_COMMITTER_NAME": "Towpath",
        "GIT_COMMITTER_EMAIL": "towpath@localhost",
    }
    await git.git("init", "--quiet", "--template=", "--initial-branch=towpath-scan", ".", directory=tree)
    await git.git("add", "--all", "--force", directory=tree)
    await git.git("commit", "--quiet", "--no-gpg-sign", "--message=bait", directory=tree, environment=nobody)
    return tree / ".git"


async def meeting_point(target: str, base: str, head: str, *, state: Path) -> str:
    """The commit from which the head and the base went their own ways. Raises HistoryRefused, TargetRefused.

    Of an address, the mirror must have been brought up to date before.
    """
    source, is_address = origin_of(target)
    directory = mirror_of(source, state=state) if is_address else Path(source)
    try:
        commit, _ = await git.resolve(base, directory=directory)
    except GitError as failure:
        raise HistoryRefused(f"{base} names no commit of {git.mask(target)}: git branch --all shows them") from failure
    try:
        return await git.line_of("merge-base", commit, head, directory=directory)
    except GitError as failure:
        reason = f"{base} and {head[:12]} have no commit in common here"
        raise HistoryRefused(f"{reason}: git fetch --unshallow, or name another base") from failure
