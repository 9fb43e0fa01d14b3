"""The targets of the end-to-end tests: a copy of the shop, and small ones of own checks, each in its own repository."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.faults import SHOP

_LEFT_OUT = (".venv", "node_modules", "dist", "__pycache__", ".*_cache", ".coverage", "*.tsbuildinfo")


def git(repository: Path, *words: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *words], cwd=repository, capture_output=True, check=True, text=True)
    return done.stdout.strip()


def make_shop(folder: Path) -> Path:
    """The shop alone in a repository, as its team would have it."""
    shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    return committed(folder)


def make_target(folder: Path, checks: Mapping[str, list[str]]) -> Path:
    """A repository of nothing but own checks, all of which may run at once."""
    folder.mkdir(parents=True)
    tables = [f"[checks.{name}]\ncommand = {json.dumps(command)}\n" for name, command in checks.items()]
    (folder / "towpath.toml").write_text("\n".join(["[run]\nparallelism = 8\n", *tables]))
    return committed(folder)


def committed(folder: Path) -> Path:
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=First")
    return folder


@contextmanager
def restored(repository: Path) -> Iterator[Path]:
    """The repository as it was committed, again after whatever is done to it."""
    try:
        yield repository
    finally:
        git(repository, "checkout", "--quiet", "--force", ".")
        git(repository, "clean", "--quiet", "--force", "-d")
