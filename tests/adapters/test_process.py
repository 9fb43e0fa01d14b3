"""The subprocess door, with real programs: each ending has its name, and nothing outlives its starter."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.adapters import process
from tasks.adapters.process import Command, Completion, Ending, Need, clean_environment, kill_all
from tests.adapters.starters import starters

ROOT = Path(process.__file__).parents[2]
SECRET = {
    "GITHUB_TOKEN": "ghp_x",
    "PREFECT_API_KEY": "pnu_x",
    "PREFECT_API_URL": "http://x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_REGION": "x",
    "GITHUB_ACTOR": "x",
}


def until(condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait on a condition with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.01)


def command(
    folder: Path,
    *argv: str,
    timeout_seconds: float = 20.0,
    grace_seconds: float = 2.0,
    stdout: Path | None = None,
    max_output_bytes: int = 1 << 30,
    environment: Mapping[str, str] | None = None,
    needs: frozenset[Need] = frozenset(),
) -> Command:
    return Command(
        argv=argv,
        directory=folder,
        log=folder / "log",
        stdout=stdout,
        timeout_seconds=timeout_seconds,
        grace_seconds=grace_seconds,
        max_output_bytes=max_output_bytes,
        environment=environment or {},
        needs=needs,
    )


def finish(asked: Command) -> Completion:
    return asyncio.run(process.run(asked))


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pids_in(path: Path, *, count: int) -> list[int]:
    """The process ids a tool wrote, once all are there."""
    until(lambda: path.exists() and len(path.read_text().split()) >= count)
    return [int(word) for word in path.read_text().split()]


# A tool with a background child, a child in a session of its own, and a daemon that forked twice.
FAMILY = """
sleep 300 & echo $! >> pids
setsid sleep 301 & echo $! >> pids
(setsid sh -c 'sleep 302 & echo $! >> pids; exit 0' &)
echo $$ >> pids
"""


class TestEndings:
    def test_exit(self, tmp_path: Path) -> None:
        """A tool that exits has its exit code, its output and what it cost."""
        done = finish(command(tmp_path, "sh", "-c", "echo out; echo err >&2; exit 7"))

        assert (done.ending, done.exit_code, done.signal_number, done.detail) == (Ending.EXITED, 7, None, "")
        assert "out\nerr\n" == done.head == done.tail
        assert done.output_bytes == 8
        assert done.seconds < 5
        assert done.peak_memory_bytes > 100_000

    def test_cost(self, tmp_path: Path) -> None:
        """CPU time and peak memory are those of the tool and of its children."""
        busy = "import time; x = bytearray(64 << 20)\nwhile time.process_time() < 0.2: pass"
        done = finish(command(tmp_path, "sh", "-c", f"'{sys.executable}' -c '{busy}'; true"))

        assert done.cpu_seconds >= 0.2
        assert done.peak_memory_bytes >= 64 << 20

    def test_stdout_apart(self, tmp_path: Path) -> None:
        """Standard output goes to a file of its own when one is named."""
        done = finish(command(tmp_path, "sh", "-c", "echo out; echo err >&2", stdout=tmp_path / "new" / "out"))

        assert (tmp_path / "new" / "out").read_text() == "out\n"
        assert done.head == "err\n"
        assert done.output_bytes == 8

    def test_not_utf8(self, tmp_path: Path) -> None:
        """Output in no encoding at all is still shown."""
        assert finish(command(tmp_path, "printf", r"a\377b")).tail == "a\ufffdb"

    def test_excerpts_are_bounded(self, tmp_path: Path) -> None:
        """Of a long log only its two ends are kept in memory."""
        done = finish(command(tmp_path, "seq", "100000"))

        assert done.head.startswith("1\n2\n")
        assert done.tail.endswith("\n100000\n")
        assert 16384 == len(done.head) == len(done.tail)
        assert done.output_bytes == 588895

    def test_too_much_output(self, tmp_path: Path) -> None:
        """A tool that never stops writing is killed at its bound."""
        done = finish(command(tmp_path, "yes", max_output_bytes=1 << 20))

        assert (done.ending, done.exit_code) == (Ending.OUTPUT_TOO_BIG, None)
        assert done.detail == "yes was killed: it wrote more than 1048576 bytes"

    def test_hang(self, tmp_path: Path) -> None:
        """A tool that hangs is asked to stop at its deadline."""
        done = finish(
            command(tmp_path, "sh", "-c", "trap 'echo bye; exit 0' TERM; sleep 60 & wait", timeout_seconds=0.3)
        )

        assert (done.ending, done.exit_code, done.tail) == (Ending.TIMED_OUT, None, "bye\n")
        assert done.detail == "sh was stopped after its 0.3 s"

    def test_hang_that_ignores_terminate(self, tmp_path: Path) -> None:
        """A tool that ignores being asked is killed after its grace."""
        script = "trap '' TERM; while :; do sleep 0.1; done"
        done = finish(command(tmp_path, "sh", "-c", script, timeout_seconds=0.3, grace_seconds=0.3))

        assert (done.ending, done.signal_number) == (Ending.TIMED_OUT, signal.SIGKILL)
        assert 0.6 <= done.seconds < 3

    def test_killed(self, tmp_path: Path) -> None:
        """A tool killed by a signal, as the kernel does when memory is short, did not exit."""
        done = finish(command(tmp_path, "sh", "-c", "kill -9 $$"))

        assert (done.ending, done.exit_code, done.signal_number) == (Ending.SIGNALLED, None, 9)
        assert done.detail == "sh was killed by signal 9 (Killed)"

    def test_missing_program(self, tmp_path: Path) -> None:
        """A program that is not there is named."""
        done = finish(command(tmp_path, "no-such-program"))

        assert (done.ending, done.exit_code) == (Ending.NOT_FOUND, None)
        assert done.detail == "no-such-program could not be started: No such file or directory"

    def test_not_executable(self, tmp_path: Path) -> None:
        """A file that is no program is not run through a shell."""
        (tmp_path / "plain").write_text("echo hello\n")
        (tmp_path / "headless").write_text("echo hello\n")
        (tmp_path / "headless").chmod(0o755)

        assert Ending.NOT_FOUND is finish(command(tmp_path, "./plain")).ending
        assert Ending.NOT_FOUND is finish(command(tmp_path, "./headless")).ending

    def test_arguments_too_long(self, tmp_path: Path) -> None:
        """More arguments than the system takes are an ending, not an exception."""
        assert Ending.NOT_FOUND is finish(command(tmp_path, "true", "x" * (4 << 20))).ending

    def test_unwritable_log(self, tmp_path: Path) -> None:
        """A log that cannot be written is told before the tool starts."""
        (tmp_path / "log").mkdir()
        done = finish(command(tmp_path, "touch", "ran"))

        assert Ending.UNWRITABLE is done.ending
        assert f"{tmp_path / 'log'} could not be written: Is a directory" == done.detail
        assert not (tmp_path / "ran").exists()

    def test_no_directory(self, tmp_path: Path) -> None:
        """A working directory that is gone is not taken for a missing program."""
        asked = Command(argv=("true",), directory=tmp_path / "gone", log=tmp_path / "log", timeout_seconds=5)

        assert Ending.UNWRITABLE is finish(asked).ending

    def test_full_disk(self, tmp_path: Path) -> None:
        """Output cut short by a full disk is never taken for all the tool had to say."""
        script = (
            "mount -t tmpfs -o size=64k none full && cd full && "
            f"exec '{sys.executable}' -c 'import asyncio, sys; from pathlib import Path; "
            "from tasks.adapters.process import Command, run; "
            'command = Command(argv=("sh", "-c", "yes | head -c 200000 || true"), directory=Path("."), '
            'log=Path("log"), timeout_seconds=9); print(asyncio.run(run(command)).ending)\''
        )
        (tmp_path / "full").mkdir()
        if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False).returncode:
            pytest.skip("this machine allows no mounts in a namespace of one's own")
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.stdout == "unwritable\n", done.stderr

    def test_strange_path(self, tmp_path: Path) -> None:
        """A tool may live in a folder with spaces, Unicode or bytes that are no text."""
        folder = tmp_path / "my töols ✓ \udcff"
        folder.mkdir()
        tool = folder / "to ol"
        tool.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
        tool.chmod(0o755)

        assert finish(command(folder, str(tool), "a b", "é", "", "$HOME")).tail == "a b|é||$HOME|"


class TestNothingOutlives:
    def test_stragglers(self, tmp_path: Path) -> None:
        """What a tool left running behind it is gone when its run is over, wherever it hid."""
        done = finish(command(tmp_path, "sh", "-c", FAMILY + "sleep 0.2"))
        pids = pids_in(tmp_path / "pids", count=4)

        assert done.exit_code == 0
        assert [pid for pid in pids if is_alive(pid)] == []

    def test_cancel(self, tmp_path: Path) -> None:
        """A cancelled task has killed its tool and the tool's family before it gives way."""

        async def cancel_once_started() -> None:
            running = asyncio.create_task(process.run(command(tmp_path, "sh", "-c", FAMILY + "sleep 303")))
            await asyncio.to_thread(pids_in, tmp_path / "pids", count=4)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        asyncio.run(cancel_once_started())

        assert [pid for pid in pids_in(tmp_path / "pids", count=4) if is_alive(pid)] == []

    def test_kill_all(self, tmp_path: Path) -> None:
        """One call kills every tool of this process, and each run still ends in an ending."""

        async def kill_once_started() -> list[Completion]:
            for name in "ab":
                (tmp_path / name).mkdir()
            asked = [command(tmp_path / name, "sh", "-c", FAMILY + "sleep 303") for name in "ab"]
            running = asyncio.gather(*map(process.run, asked))
            for name in "ab":
                await asyncio.to_thread(pids_in, tmp_path / name / "pids", count=4)
            kill_all()
            return await running

        done = asyncio.run(kill_once_started())

        assert [(each.ending, each.signal_number) for each in done] == [(Ending.SIGNALLED, 9), (Ending.SIGNALLED, 9)]
        pids = pids_in(tmp_path / "a" / "pids", count=4) + pids_in(tmp_path / "b" / "pids", count=4)
        assert [pid for pid in pids if is_alive(pid)] == []

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_parent_killed(self, tmp_path: Path, number: signal.Signals) -> None:
        """When Towpath itself is killed, the tool and all its family are gone within two seconds."""
        with parent_of_a_family(tmp_path) as parent:
            pids = pids_in(tmp_path / "pids", count=4)
            parent.send_signal(number)
            parent.wait()

            until(lambda: not any(map(is_alive, pids)), seconds=2.0)

    def test_supervisor_killed(self, tmp_path: Path) -> None:
        """A supervisor that is itself killed takes the tool with it and is never taken for an exit."""

        async def kill_supervisor() -> Completion:
            running = asyncio.create_task(process.run(command(tmp_path, "sh", "-c", "echo $$ > pids; sleep 303")))
            (tool,) = await asyncio.to_thread(pids_in, tmp_path / "pids", count=1)
            psutil.Process(tool).parent().kill()  # type: ignore[union-attr]
            return await running

        done = asyncio.run(kill_supervisor())

        assert (done.ending, done.exit_code) == (Ending.SIGNALLED, None)
        (tool,) = pids_in(tmp_path / "pids", count=1)
        until(lambda: not is_alive(tool), seconds=2.0)

    def test_starter_killed(self, tmp_path: Path) -> None:
        """The process that supervisors come from may die: what runs goes on, and the next tool starts all the same."""

        async def kill_starter() -> tuple[Completion, Completion]:
            running = asyncio.create_task(process.run(command(tmp_path, "sh", "-c", "echo $$ > pids; read x < go")))
            (tool,) = await asyncio.to_thread(pids_in, tmp_path / "pids", count=1)
            (starter,) = starters()
            assert tool in [child.pid for child in starter.children(recursive=True)]
            starter.kill()
            (tmp_path / "next").mkdir()
            after = await process.run(command(tmp_path / "next", "echo", "next"))
            await asyncio.to_thread((tmp_path / "go").write_text, "\n")
            return await running, after

        os.mkfifo(tmp_path / "go")
        running, after = asyncio.run(kill_starter())

        assert (running.exit_code, after.tail) == (0, "next\n")

    def test_many_at_once(self, tmp_path: Path) -> None:
        """Many tools at once each have their own output and ending, from several threads and event loops too."""

        async def many(name: str) -> list[str]:
            folders = [tmp_path / f"{name}{number}" for number in range(30)]
            for folder in folders:
                folder.mkdir()
            asked = [command(folder, "sh", "-c", f"echo {folder.name}; exit 3") for folder in folders]
            done = await asyncio.gather(*map(process.run, asked))
            return [f"{each.tail.strip()} {each.exit_code}" for each in done]

        with ThreadPoolExecutor() as pool:
            done = list(pool.map(lambda name: asyncio.run(many(name)), "ab"))

        assert done == [[f"{name}{number} 3" for number in range(30)] for name in "ab"]

    def test_nothing_stays_behind(self, tmp_path: Path) -> None:
        """A Towpath that ends leaves no supervisor and no starter, and no zombie while it lives."""
        finish(command(tmp_path, "true"))
        (starter,) = starters()
        until(lambda: starter.children() == [])
        with parent_of_a_family(tmp_path, timeout_seconds=0.2) as parent:
            until(lambda: psutil.Process(parent.pid).children() != [])
            (theirs,) = psutil.Process(parent.pid).children()
        assert parent.returncode == 0
        until(lambda: not is_alive(theirs.pid), seconds=2.0)

    def test_deadline_needs_no_event_loop(self, tmp_path: Path) -> None:
        """A Towpath that is stopped still has its tools end at their deadline."""
        with parent_of_a_family(tmp_path, timeout_seconds=1.5) as parent:
            pids = pids_in(tmp_path / "pids", count=4)
            parent.send_signal(signal.SIGSTOP)

            until(lambda: not any(map(is_alive, pids)), seconds=6.0)
            parent.kill()


def parent_of_a_family(folder: Path, *, timeout_seconds: float = 60.0) -> subprocess.Popen[bytes]:
    """A Towpath of its own that runs one tool with many children."""
    (folder / "family.sh").write_text(FAMILY + "sleep 303")
    script = (
        "import asyncio; from pathlib import Path; from tasks.adapters.process import Command, run; "
        "asyncio.run(run(Command(argv=('sh', 'family.sh'), directory=Path('.'), log=Path('log'), grace_seconds=0.2, "
        f"timeout_seconds={timeout_seconds})))"
    )
    return subprocess.Popen([sys.executable, "-c", script], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)})


class TestEnvironment:
    def test_tool_sees_the_allow_list(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A tool sees no secret of the user and nothing that is not on the list."""
        for name, value in SECRET.items():
            monkeypatch.setenv(name, value)
        done = finish(command(tmp_path, "env", environment={"DECLARED_TOKEN": "yes"}))

        seen = {line.partition("=")[0] for line in done.head.splitlines()}
        assert {"DECLARED_TOKEN", "PATH"} <= seen
        assert set() == seen & set(SECRET)
        assert clean_environment(needs=frozenset(), extras={"DECLARED_TOKEN": "yes"}).keys() == seen

    def test_needs(self) -> None:
        """Each need lets through its own variables and no others."""
        base = {"PATH": "/bin", "HTTPS_PROXY": "p", "UV_INDEX_URL": "u", "NPM_TOKEN": "t", "DOCKER_HOST": "d"} | SECRET

        def seen(*needs: Need) -> set[str]:
            return set(clean_environment(needs=frozenset(needs), extras={}, base=base))

        assert {"PATH"} == seen()
        assert {"PATH", "HTTPS_PROXY"} == seen(Need.NETWORK)
        assert {"PATH", "HTTPS_PROXY", "UV_INDEX_URL", "NPM_TOKEN"} == seen(Need.REGISTRY)
        assert {"PATH", "DOCKER_HOST"} == seen(Need.ENGINE)

    @given(
        name=st.builds(
            "{}{}{}".format,
            st.sampled_from(["", "LC_", "DOCKER_", "BUILDX_", "MY_", "PIP_", "UV_", "GITHUB_", "http_"]),
            st.sampled_from(["TOKEN", "SECRET", "PASSWORD", "KEY", "token", "Key"]),
            st.text(st.characters(codec="ascii", categories=["Lu", "Nd"]), max_size=5),
        ),
        needs=st.frozensets(st.sampled_from([Need.NETWORK, Need.ENGINE])),
    )
    def test_no_secret_undeclared(self, name: str, needs: frozenset[Need]) -> None:
        """No variable named like a secret reaches a tool that did not declare it."""
        assert clean_environment(needs=needs, extras={}, base={name: "x"}) == {}
        assert {name: "y"} == clean_environment(needs=needs, extras={name: "y"}, base={name: "x"})
