"""What the state folder forgets, and what it keeps."""

import os
import time
from pathlib import Path

from tasks.adapters.retention import forget_old_results, forget_old_runs


def test_the_newest_runs_stay(tmp_path: Path) -> None:
    """Only the newest runs keep their folders, whatever lies in them."""
    for name in ("20260101-000000-a", "20260103-000000-a", "20260102-000000-b"):
        (tmp_path / "reports" / name / "logs").mkdir(parents=True)

    forget_old_runs(tmp_path, kept=2)

    assert {folder.name for folder in (tmp_path / "reports").iterdir()} == {"20260103-000000-a", "20260102-000000-b"}


def test_results_are_forgotten_by_age(tmp_path: Path) -> None:
    """A remembered result goes after 30 days and not before."""
    folder = tmp_path / "results" / "trusted"
    folder.mkdir(parents=True)
    now = time.time()
    for name, days in (("old", 31), ("young", 29)):
        (folder / name).write_text("{}")
        os.utime(folder / name, (now, now - days * 86_400))

    forget_old_results(tmp_path, now=now)

    assert [path.name for path in folder.iterdir()] == ["young"]


def test_nothing_there(tmp_path: Path) -> None:
    """A state folder without runs or results is no trouble."""
    forget_old_runs(tmp_path, kept=1)
    forget_old_results(tmp_path)

    assert list(tmp_path.iterdir()) == []
