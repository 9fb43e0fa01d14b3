"""What a confined program can see, reach and take; with the real bubblewrap and the real kernel."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.adapters import confinement
from tasks.adapters.confinement import Means, Most, Room, bounded, confined, means, translated
from tasks.adapters.process import Command, Completion, Ending, run
from tasks.adapters.scratch import scratch_folder

MOST = Most(memory_bytes=256 << 20, processes=24, cpu_seconds=20, file_bytes=8 << 20)
PYTHON = "/usr/bin/python3"


@pytest.fixture(autouse=True)
def _isolated() -> None:
    assert means().bubblewrap, "install bubblewrap (make test does, as root): without it nothing is confined"


def run_confined(
    tmp_path: Path, *words: str, room: Room | None = None, most: Most = MOST, variables: dict[str, str] | None = None
) -> tuple[Completion, str]:
    """How a command in a room ended, and what it wrote to standard output."""
    (tmp_path / "target").mkdir(exist_ok=True)
    (tmp_path / "target" / "kept.txt").write_text("kept")
    inside = room or Room(readable={"/target": tmp_path / "target"})
    seen = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", **(variables or {})}
    with bounded(most) as bounds:
        argv = confined(words, inside, directory="/target", variables=seen)
        command = Command(
            argv=argv,
            directory=Path("/"),
            log=tmp_path / "log",
            stdout=tmp_path / "out",
            timeout_seconds=30,
            bounds=bounds,
        )
        return asyncio.run(run(command)), (tmp_path / "out").read_text()


def test_the_target_can_be_read_and_not_written(tmp_path: Path) -> None:
    """A confined program reads the target and cannot change it."""
    done, _ = run_confined(tmp_path, "sh", "-c", "cat /target/kept.txt && echo changed > /target/kept.txt")
    assert done.exit_code
    assert (tmp_path / "target" / "kept.txt").read_text() == "kept"
    assert "Read-only" in done.tail


def test_nothing_else_of_the_machine_is_seen(tmp_path: Path) -> None:
    """Homes, passwords, other processes and the state folder do not exist inside."""
    (tmp_path / "secret").write_text("x")
    _, said = run_confined(tmp_path, "sh", "-c", f"ls / /etc /tmp; ls {tmp_path} /root /home /etc/shadow; ls /proc")
    assert "shadow" not in said
    assert "home" not in said
    assert "root" not in said
    assert "secret" not in said
    numbers = [word for word in said.split() if word.isdigit()]
    assert len(numbers) < 6


def test_no_variable_of_the_user_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in Towpath's own environment does not reach a confined program."""
    monkeypatch.setenv("GITHUB_TOKEN", "t0ken")
    _, said = run_confined(tmp_path, "env", variables={"GIVEN": "yes"})
    assert "GIVEN=yes" in said
    assert "t0ken" not in said


@pytest.mark.parametrize("has_network", [False, True])
def test_the_network_is_there_only_when_declared(tmp_path: Path, has_network: bool) -> None:
    """A service on this machine is reached with a declared network and not without."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        room = Room(readable={"/target": tmp_path / "target"}, has_network=has_network)
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5).close(); print('reached')"
        _, said = run_confined(tmp_path, PYTHON, "-c", code, room=room)
    assert ("reached" in said) == has_network


def test_a_link_out_of_the_target_leads_nowhere(tmp_path: Path) -> None:
    """A symlink to a file of the machine cannot be followed from inside."""
    (tmp_path / "outside.txt").write_text("not for scanners")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "link").symlink_to(tmp_path / "outside.txt")
    done, said = run_confined(tmp_path, "cat", "/target/link")
    assert done.exit_code
    assert said == ""


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A program that takes more memory than it may is ended or refused, and says nothing good."""
    done, said = run_confined(tmp_path, PYTHON, "-c", "x = bytearray(1 << 30); print('had it')")
    assert "had it" not in said
    assert done.exit_code != 0


def test_processes_are_bounded(tmp_path: Path) -> None:
    """A fork bomb gets no further than its bound."""
    assert "pids" in means().groups
    code = "import os, time\nfor n in range(100):\n    if not os.fork(): time.sleep(20)\nprint('all hundred')"
    done, said = run_confined(tmp_path, PYTHON, "-c", code)
    assert "all hundred" not in said
    assert done.exit_code


def test_files_are_bounded(tmp_path: Path) -> None:
    """A program that fills a file is stopped at the bound."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    room = Room(readable={"/target": tmp_path / "target"}, writable={"/scratch": scratch})
    run_confined(tmp_path, "sh", "-c", "head -c 50000000 /dev/zero > /scratch/big", room=room)
    assert (scratch / "big").stat().st_size <= MOST.file_bytes


def test_processor_time_is_bounded(tmp_path: Path) -> None:
    """A program that spins is killed by its processor time, whatever the clock says."""
    most = Most(memory_bytes=256 << 20, processes=24, cpu_seconds=1, file_bytes=1 << 20)
    done, _ = run_confined(tmp_path, PYTHON, "-c", "while True: pass", most=most)
    assert done.ending is not Ending.TIMED_OUT
    assert done.exit_code != 0


def test_no_control_group_is_left(tmp_path: Path) -> None:
    """After a run its control groups are gone, and those of a dead Towpath too."""
    base = confinement._group_base("memory")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    orphan = base / f"towpath-{dead.pid}-0000"
    orphan.mkdir()
    run_confined(tmp_path, "true")
    assert not list(base.glob(f"towpath-{os.getpid()}-*"))
    assert not orphan.exists()


def test_what_cannot_be_enforced_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without bubblewrap and control groups, each missing protection is told in words."""
    monkeypatch.setattr(confinement, "_working_bubblewrap", lambda: "")
    monkeypatch.setattr(confinement, "_can_group", lambda kind: False)
    found: Means = means.__wrapped__()
    assert found.bubblewrap == ""
    assert len(found.missing) == 3
    assert "isolation" in found.missing[0]


@pytest.mark.parametrize(
    ("word", "there"),
    [
        ("/target/a/b.py", "/real/tree/a/b.py"),
        ("--config=/scratch/c", "--config=/real/room/c"),
        ("see /target", "see /target"),
        ("plain", "plain"),
    ],
)
def test_words_are_translated_where_no_room_can_be_made(word: str, there: str) -> None:
    """Places inside become the real ones, as a whole word or behind an equals sign, and nothing else changes."""
    room = Room(readable={"/target": Path("/real/tree")}, writable={"/scratch": Path("/real/room")})
    assert translated(word, room) == there


def test_a_scratch_folder_is_private_and_goes(tmp_path: Path) -> None:
    """Only its owner may look into a scratch folder, and it is gone afterwards, unreadable parts and all."""
    with scratch_folder(tmp_path) as place:
        assert place.stat().st_mode & 0o077 == 0
        hidden = place / "hidden"
        hidden.mkdir()
        (hidden / "file").write_text("x")
        hidden.chmod(0)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_a_killed_run_left_in_scratch_is_deleted_by_the_next(tmp_path: Path) -> None:
    """A folder whose holder was killed with -9 is gone once another scratch folder is made."""
    code = (
        "import os, signal, sys; from pathlib import Path; from tasks.adapters.scratch import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])) as place:\n"
        "    (place / 'report').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert [path.name for path in (tmp_path / "scratch").rglob("report")] == ["report"]
    with scratch_folder(tmp_path) as place:
        left = set((tmp_path / "scratch").iterdir())
        assert left == {place, place.with_name(f"{place.name}.lock")}
