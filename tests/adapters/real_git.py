"""Real repositories for the tests of the adapters: called as a user would, compared byte by byte."""

import asyncio
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tasks.adapters.snapshots import Snapshot, TargetRefused, open_snapshot


def git(repository: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *identity, *arguments], cwd=repository, capture_output=True, check=True)
    return os.fsdecode(done.stdout).strip()


def take(target: str | Path, state: Path, *, ref: str | None = None) -> Snapshot:
    async def open_once() -> Snapshot:
        async with open_snapshot(str(target), ref=ref, state=state) as snapshot:
            return snapshot

    return asyncio.run(open_once())


def contents(tree: Path) -> dict[str, tuple[bytes, bool]]:
    """Every file of a folder with its content (a symlink's target) and whether it may be executed."""
    found: dict[str, tuple[bytes, bool]] = {}
    for folder, folders, files in os.walk(tree):
        folders[:] = [name for name in folders if name not in (".git", "node_modules")]
        for name in files + [name for name in folders if Path(folder, name).is_symlink()]:
            path = Path(folder, name)
            is_link = path.is_symlink()
            content = os.fsencode(path.readlink()) if is_link else path.read_bytes()
            is_executable = not is_link and bool(path.stat().st_mode & stat.S_IXUSR)
            found[str(path.relative_to(tree))] = (content, is_executable)
    return found


def refused(target: str | Path, state: Path, *, ref: str | None = None) -> str:
    with pytest.raises(TargetRefused) as caught:
        take(target, state, ref=ref)
    assert "\n" not in str(caught.value)
    return str(caught.value)
