"""A repository about to be committed to, and the real `towpath` beside it."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.adapters.real_git import git

TOWPATH = Path(sys.executable).with_name("towpath")
MANIFEST = "[project]\nname = 'x'\nversion = '1'\n[tool.black]\n[tool.ruff]\nline-length = 100\n"
GOOD, BAD = "x = 1\n", "import os\n\nx  =  1\n"


@dataclass(frozen=True)
class Said:
    exit_code: int
    output: str
    errors: str
    seconds: float
    cpu_seconds: float

    def verdicts(self) -> dict[str, str]:
        rows = [line.split() for line in self.output.splitlines() if line and not line.startswith(" ")]
        return {row[1]: row[0] for row in rows if len(row) > 3}


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Desk:
    """A work tree and Towpath's home."""

    repository: Path
    home: Path

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for path, content in files.items():
            place = self.repository / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())

    def stage(self, files: Mapping[str, str | bytes]) -> None:
        self.write(files)
        git(self.repository, "add", "--", *files)

    def environment(self) -> dict[str, str]:
        path = f"{TOWPATH.parent}{os.pathsep}{os.environ['PATH']}"
        identity = {
            f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        return {**os.environ, **identity, "TOWPATH_HOME": str(self.home), "PATH": path}

    def run(self, *words: str | Path, folder: Path | None = None) -> Said:
        before, spent = time.monotonic(), _children_seconds()
        done = subprocess.run(
            words,
            cwd=folder or self.repository,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        seconds = time.monotonic() - before
        return Said(done.returncode, done.stdout, done.stderr, seconds, _children_seconds() - spent)

    def check(self, *, folder: Path | None = None) -> Said:
        return self.run(TOWPATH, "check", "--staged", folder=folder)
