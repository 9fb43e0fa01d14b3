"""The half hour of counters the supervisor keeps: bounded, and readable whatever happened to the file."""

from pathlib import Path

from tasks.adapters.platforms.local.history import KEPT, History, read
from tasks.core.counters import Counters, Snapshot


def snapshot(at: float) -> Snapshot:
    counters = Counters(at, 0, restarts=1, started=0.5, buckets=(1, at))
    return Snapshot(at=at, share=0, canary={}, stable={"web-1-1": counters}, bounds=(0.1,))


def test_what_was_taken_is_read_back(tmp_path: Path) -> None:
    """Every number of it, also by a successor, which goes on where the file ends."""
    path = tmp_path / "metrics.jsonl"
    taken = [snapshot(float(at)) for at in range(3)]
    for each in taken[:2]:
        History(path).append(each)
    History(path).append(taken[2])
    assert read(path) == taken


def test_an_arm_nobody_could_read_stays_unread(tmp_path: Path) -> None:
    """None is never turned into an empty arm on its way through the file."""
    path = tmp_path / "metrics.jsonl"
    History(path).append(Snapshot(at=1, share=0, canary={}, stable=None))
    assert [(each.stable, each.canary) for each in read(path)] == [(None, {})]


def test_the_file_is_bounded(tmp_path: Path) -> None:
    """At most twice what is kept, and the newest are kept."""
    path = tmp_path / "metrics.jsonl"
    history = History(path)
    for at in range(5 * KEPT):
        history.append(snapshot(float(at)))
        assert history.lines <= 2 * KEPT
    found = read(path)
    assert KEPT <= len(found) <= 2 * KEPT
    assert found[-1].at == 5 * KEPT - 1


def test_lines_nobody_can_read_are_passed_over(tmp_path: Path) -> None:
    """Half a line, and one of another boot of the machine, whose clock meant something else."""
    path = tmp_path / "metrics.jsonl"
    history = History(path)
    history.append(snapshot(1))
    line = path.read_text()
    path.write_text(line[:20] + "\n" + line.replace('"boot":"', '"boot":"other') + line)
    assert read(path) == [snapshot(1)]
    assert read(tmp_path / "none") == []
