"""What recorded CI runs measured of a commit: the Cobertura reports beside their report, found by the commit."""

from collections.abc import Iterator
from pathlib import Path

from tasks.adapters.past_reports import PastRun, past_runs
from tasks.core.pull_requests.tested_lines import Recorded, read_hits
from tasks.core.tools.contract import Unreadable

_READABLE_BYTES = 256 * 1024 * 1024
_NAMES = ("coverage.xml", "cobertura-coverage.xml")


def recorded_coverage(state: Path, *, name: str, commits: tuple[str, ...]) -> Recorded:
    """Of the first of these commits that has any; a run of a work tree with changes is of no commit."""
    why = "no recorded run of towpath ci"
    for commit in commits:
        for run in _ci_runs(state, name, commit):
            files = [file for pattern in _NAMES for file in sorted(Path(run.folder, "files").glob(f"*/{pattern}"))]
            if not files:
                why = "its CI left no coverage report"
                continue
            try:
                return Recorded(commit, read_hits(_text(file) for file in files))
            except Unreadable as broken:
                why = str(broken)
    return Recorded(commits[0], None, why)


def has_ended(state: Path, *, name: str, commit: str) -> bool:
    """Whether any CI run over the commit has come to an end."""
    return any(True for _ in _ci_runs(state, name, commit))


def _ci_runs(state: Path, name: str, commit: str) -> Iterator[PastRun]:
    runs = past_runs(state, name=name, revision=commit)
    return (run for run in runs if run.flow == "ci" and not run.is_dirty)


def _text(file: Path) -> str:
    with file.open("rb") as stream:
        return stream.read(_READABLE_BYTES).decode("utf-8", "replace")
