"""Building what a case describes, and running its real scanner on it."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.adapters.scanners.image_archive import image_archive
from tasks.core.security.scanner import Scan
from tests.adapters.scanners.cell import Places, Ran, run, write_files
from tests.adapters.scanners.installed_scanners import InstalledScanners
from tests.adapters.scanners.scan_cases import Case

# So that a recording made again has the same commits.
_GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class Surroundings:
    """What the services of the lab put around a case."""

    advisories: str = ""
    database: Path | None = None


def perform(
    case: Case,
    scanners: InstalledScanners,
    folder: Path,
    around: Surroundings,
    *,
    plant: Callable[[Path], None] | None = None,
) -> Ran:
    """The real scanner over a fresh target, history and scratch folder; `plant` adds to the target what is no text."""
    program, tools = scanners.program(case.scanner)
    for name in ("target", "scratch"):
        (folder / name).mkdir(parents=True)
    write_files(folder / "target", case.files)
    if plant is not None:
        plant(folder / "target")
    places = Places(
        target=folder / "target",
        scratch=folder / "scratch",
        history=_history(case, folder) if case.commits else None,
        database=around.database,
        image=_image(case, folder),
        tools=tools,
    )
    return run(case.scanner, program, _pointed(case.scan, around), places, has_network=case.scanner.needs_network)


def _image(case: Case, folder: Path) -> Path | None:
    if not case.image_files:
        return None
    (folder / "image.tar").write_bytes(image_archive(case.image_files))
    return folder / "image.tar"


def _pointed(scan: Scan, around: Surroundings) -> Scan:
    options = {
        name: tuple(value.replace("{advisories}", around.advisories) for value in values)
        for name, values in scan.options.items()
    }
    return replace(scan, options=options)


def _history(case: Case, folder: Path) -> Path:
    tree, bare = folder / "tree", folder / "history"
    _git(folder, "init", "-q", "-b", "main", str(tree))
    for number, state in enumerate(case.commits):
        write_files(tree, {name: text for name, text in state.items() if text is not None})
        for name in [name for name, text in state.items() if text is None]:
            (tree / name).unlink()
        _git(tree, "add", "-A")
        _git(tree, "commit", "-q", "--allow-empty", "-m", f"state {number}")
    _git(folder, "clone", "-q", "--bare", str(tree), str(bare))
    return bare


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, env={"PATH": os.environ["PATH"], **_GIT}, check=True)
