"""A check whose tool could not do its work is an error with its cause, whatever kept the tool from it."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.adapters import examination as examinations
from tasks.adapters.examination import Examination, Examined, examine
from tasks.adapters.process import Ending
from tasks.adapters.programs import Program
from tasks.core.conclusion import Place, conclude
from tasks.core.outcome import Outcome, Verdict
from tests.adapters.real_tools import little_memory, python_word, shell_as, small_disk


def examined(asked: Examination) -> tuple[Examined, Outcome]:
    done = asyncio.run(examine(asked))
    where = Place(asked.invocation.directory, ".")
    return done, conclude(asked.tool, done.finished, done.output, where, reproduce="again").outcome


class TestErrors:
    def test_missing(self, tmp_path: Path) -> None:
        """A program that is not there is an error that says to install it."""
        asked = shell_as("ruff", "", tmp_path)
        _, outcome = examined(replace(asked, program=Program((str(tmp_path / "nowhere"),), "", "")))

        assert outcome.verdict == Verdict.ERROR
        assert "nowhere could not be started: No such file or directory" in outcome.reason
        assert "towpath doctor" in outcome.remedy

    def test_not_executable(self, tmp_path: Path) -> None:
        """A program that may not be executed is the same."""
        asked = shell_as("ruff", "", tmp_path)
        (tmp_path / "ruff").write_text("no program")
        _, outcome = examined(replace(asked, program=Program((str(tmp_path / "ruff"),), "", "")))

        assert outcome.verdict == Verdict.ERROR
        assert "Permission denied" in outcome.reason

    def test_hangs(self, tmp_path: Path) -> None:
        """A tool that hangs is ended at its deadline; what it printed before is no result."""
        done, outcome = examined(shell_as("ruff", "echo '[]'; sleep 300", tmp_path, timeout_seconds=0.3))

        assert outcome.verdict == Verdict.ERROR
        assert "was stopped after its 0.3 s" in outcome.reason
        assert "timeout_seconds" in outcome.remedy
        assert done.completion.seconds < 5

    def test_killed(self, tmp_path: Path) -> None:
        """A tool that dies of a signal is an error, although its report was complete."""
        _, outcome = examined(shell_as("ruff", "echo '[]'; kill -9 $$", tmp_path))

        assert outcome.verdict == Verdict.ERROR
        assert "was killed by signal 9" in outcome.reason
        assert "run.parallelism" in outcome.remedy

    def test_killed_by_the_kernel(self, tmp_path: Path) -> None:
        """A tool that the kernel ends for want of memory is an error that names that cause."""
        with little_memory(f"towpath-test-{os.getpid()}", limit=48 << 20) as members:
            hungry = f"exec {python_word()} -c 'x = bytearray(1 << 30); x[::4096] = x[::4096]'"
            done, outcome = examined(shell_as("ruff", f"echo $$ > {members}; echo '[]'; {hungry}", tmp_path))

        assert done.completion.ending == Ending.SIGNALLED
        assert outcome.verdict == Verdict.ERROR
        assert "was killed by signal 9" in outcome.reason
        assert "want of memory" in outcome.remedy

    def test_child_killed_by_the_kernel(self, tmp_path: Path) -> None:
        """A worker of a tool that the kernel ends leaves no report, and the tool's own exit code 1 is no finding."""
        with little_memory(f"towpath-test-{os.getpid()}", limit=48 << 20) as members:
            hungry = f"{python_word()} -c 'x = bytearray(1 << 30); x[::4096] = x[::4096]'"
            _, outcome = examined(shell_as("mypy", f"echo $$ > {members}; {hungry}; exit 1", tmp_path))

        assert outcome.verdict == Verdict.ERROR

    def test_out_of_address_space(self, tmp_path: Path) -> None:
        """A tool that may not have more memory and gives up with exit code 1 has found nothing."""
        script = f"ulimit -v 300000; exec {python_word()} -c 'bytearray(1 << 30)'"
        _, outcome = examined(shell_as("mypy", script, tmp_path))

        assert outcome.verdict == Verdict.ERROR
        assert "MemoryError" in outcome.reason

    @pytest.mark.parametrize("tool", ["black", "mypy", "pytest", "eslint", "biome", "tsc", "vitest", "bandit", "ruff"])
    @pytest.mark.parametrize("exit_code", [0, 1])
    def test_empty_output(self, tool: str, exit_code: int, tmp_path: Path) -> None:
        """A tool that prints and writes nothing is an error, whether it exits 0 or 1."""
        _, outcome = examined(shell_as(tool, f"exit {exit_code}", tmp_path))

        assert outcome.verdict == Verdict.ERROR

    @pytest.mark.parametrize("tool", ["black", "mypy", "pytest", "eslint", "biome", "tsc", "vitest", "bandit", "ruff"])
    @pytest.mark.parametrize("exit_code", [0, 1])
    def test_unparsable_output(self, tool: str, exit_code: int, tmp_path: Path) -> None:
        """Bytes that are no report, in any encoding, are an error."""
        noise = f"head -c 4096 /dev/urandom | tee {tmp_path}/scratch/junit.xml {tmp_path}/scratch/tests.json"
        _, outcome = examined(shell_as(tool, f"{noise}; exit {exit_code}", tmp_path))

        assert outcome.verdict == Verdict.ERROR
        assert outcome.reason.isprintable() or "\n" not in outcome.reason

    def test_too_much_output(self, tmp_path: Path) -> None:
        """A tool that prints without end is ended at the limit."""
        done, outcome = examined(shell_as("ruff", "yes | head -c 3000000; sleep 300", tmp_path))

        assert done.completion.ending == Ending.OUTPUT_TOO_BIG
        assert outcome.verdict == Verdict.ERROR
        assert "run.max_log_bytes" in outcome.remedy

    def test_too_big_a_report(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A report larger than Towpath reads is an error and not a part of itself."""
        monkeypatch.setattr(examinations, "_READABLE_BYTES", 1000)
        _, outcome = examined(shell_as("pytest", f"head -c 1001 /dev/zero > {tmp_path}/scratch/junit.xml", tmp_path))

        assert outcome.verdict == Verdict.ERROR
        assert "junit.xml of 1001 bytes is more than Towpath reads" in outcome.reason


class TestDisk:
    def test_full(self, tmp_path: Path) -> None:
        """A report cut short by a full disk is an error, although the tool exits 0."""
        with small_disk(tmp_path / "disk") as disk:
            _, outcome = examined(shell_as("ruff", "echo '[]'; head -c 500000 /dev/zero >&2; exit 0", disk))

        assert outcome.verdict == Verdict.ERROR
        assert "no space left" in outcome.reason
        assert "TOWPATH_HOME" in outcome.remedy

    def test_read_only(self, tmp_path: Path) -> None:
        """A place that cannot be written is named before the tool is started."""
        with small_disk(tmp_path / "disk", size="64k,mode=755") as disk:
            asked = shell_as("ruff", f"touch {tmp_path}/ran", disk)
            remounted = os.system(f"mount -o remount,ro '{disk}'")
            _, outcome = examined(asked)

        assert remounted == 0
        assert outcome.verdict == Verdict.ERROR
        assert "could not be written: Read-only file system" in outcome.reason
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("name", ["scratch", "caches", "log"])
    def test_in_the_way(self, name: str, tmp_path: Path) -> None:
        """A folder's place taken by a file, or a file's by a folder, is an error that names the place."""
        asked = shell_as("ruff", "echo '[]'", tmp_path)
        if name == "log":
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).write_text("in the way")
            (tmp_path / name).chmod(0o400)
        _, outcome = examined(asked)

        assert outcome.verdict == Verdict.ERROR
        assert f"{tmp_path / name} could not be written" in outcome.reason


class TestSurroundings:
    def test_nothing_of_an_earlier_run(self, tmp_path: Path) -> None:
        """A report that an earlier attempt left is not taken for this one's."""
        asked = shell_as("pytest", "exit 0", tmp_path)
        (tmp_path / "scratch").mkdir()
        (tmp_path / "scratch" / "junit.xml").write_text("<testsuite><testcase name='a'/></testsuite>")
        _, outcome = examined(asked)

        assert outcome.verdict == Verdict.ERROR
        assert "it wrote no junit.xml" in outcome.reason

    def test_what_a_tool_sees(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A tool sees CI=true and no secret of the user's, nor Towpath's own state."""
        for name in ("GITHUB_TOKEN", "PREFECT_API_KEY", "CODECOV_TOKEN", "TOWPATH_HOME", "UV_INDEX_URL"):
            monkeypatch.setenv(name, "hidden")
        done, _ = examined(shell_as("own", "env", tmp_path))

        assert "CI=true" in done.output.stdout.splitlines()
        assert "hidden" not in done.output.stdout
