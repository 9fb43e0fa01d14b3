"""The command line: quick to help, one line for every mistake, and documentation that is what the code says."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployments.cli import _COMMANDS
from deployments.reference import ROOT, pages
from tests.adapters.real_git import git

TOWPATH = Path(sys.executable).with_name("towpath")
_HEAVY = ("prefect", "pydantic", "httpx", "docker", "rich", "psutil", "kubernetes")


@dataclass(frozen=True)
class Said:
    exit_code: int
    output: str
    errors: str


@dataclass(frozen=True)
class Terminal:
    folder: Path
    home: Path

    def towpath(self, *words: str | Path) -> Said:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "TOWPATH_", "PREFECT_"))
        }
        done = subprocess.run(
            [TOWPATH, *words],
            cwd=self.folder,
            env={**kept, "TOWPATH_HOME": str(self.home), "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A terminal in a small repository with one own check."""
    folder = tmp_path / "target"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "towpath.toml").write_text('[checks.yes]\ncommand = ["true"]\n')
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return Terminal(folder, tmp_path / "home")


class TestHelp:
    @pytest.mark.parametrize("command", ["", *_COMMANDS])
    def test_imports_nothing_heavy(self, command: str) -> None:
        """Help imports no library that a command needs only for its work."""
        script = (
            "import contextlib, sys; from deployments.cli import main\n"
            f"with contextlib.suppress(SystemExit): main('{command} --help'.split())\n"
            f"print([name for name in {_HEAVY!r} if name in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

        assert done.stderr.strip() == "[]"
        assert done.stdout.startswith("usage: towpath")

    @pytest.mark.parametrize("command", ["", *_COMMANDS])
    def test_is_quick(self, command: str) -> None:
        """Help is there within 0.2 s, its interpreter included, at its best of ten."""

        def seconds() -> float:
            before = time.monotonic()
            subprocess.run([TOWPATH, *command.split(), "--help"], capture_output=True, check=True)
            return time.monotonic() - before

        assert any(seconds() < 0.2 for _ in range(10))

    def test_all_commands(self, terminal: Terminal) -> None:
        """The overview names every command and the exit codes."""
        said = terminal.towpath("--help")

        assert said.exit_code == 0
        assert all(f"    {name} " in said.output for name in _COMMANDS)
        assert "exit codes: 0 passed, 1 failed, 2 usage or configuration, 3 could not be done" in said.output


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ((), "the following arguments are required: COMMAND"),
            (("plna",), "there is no 'plna'; did you mean plan?"),
            (("xyzzy",), "there is no 'xyzzy'; known: ci, security, pr, plan,"),
            (("plan", "--sett", "a"), "--sett"),
            (("plan", "--nowhere"), "unrecognized arguments: --nowhere"),
            (("check",), "--staged"),
            (("hooks", "remove"), "remove"),
            (("ci", "--allow-missing", "podman"), "podman"),
            (("plan", "/nowhere/at/all"), "/nowhere/at/all"),
            (("plan", "--set", "coverage"), "expected key.path=value"),
            (("plan", "--set", "coverage.minimum_percent=200"), "coverage.minimum_percent"),
            (("plan", "--set", "covrage.minimum_percent=1"), "did you mean coverage?"),
            (("plan", "--set", "checks.blakc.enabled=true"), 'checks."blakc": no such check here'),
            (("plan", "--ref", "nowhere"), "nowhere"),
            (("ci", "--json", "/nowhere/report.json"), "/nowhere is no folder"),
            (("ci", "--junit", "/nowhere/report.xml"), "/nowhere is no folder"),
            (("init", "."), "towpath.toml exists; --force writes over it"),
            (("check", "--staged", "/nowhere"), "/nowhere is no folder"),
            (("hooks", "install", "/nowhere"), "/nowhere is no folder"),
        ],
    )
    def test_one_line(self, words: tuple[str, ...], said: str, terminal: Terminal) -> None:
        """A mistake in the words is one line on standard error, exit code 2, and no traceback."""
        answer = terminal.towpath(*words)

        assert answer.exit_code == 2
        assert answer.output == ""
        assert len(answer.errors.splitlines()) == 1
        assert said in answer.errors

    @pytest.mark.parametrize(
        ("configuration", "said"),
        [
            ("[run", "towpath.toml is not valid TOML"),
            ("[run]\nparalelism = 1\n", "unknown key run.paralelism; did you mean parallelism?"),
            ("[run]\nparallelism = 100\n", "run.parallelism"),
            ("[checks.nowhere]\nenabled = true\n", "no such check here"),
            ("[checks.black]\nenabled = false\n", "needs a reason"),
            ("[images.nowhere]\nport = 1\n", "images.nowhere: no such image was found"),
        ],
    )
    @pytest.mark.parametrize("command", ["plan", "init"])
    def test_configuration(self, command: str, configuration: str, said: str, terminal: Terminal) -> None:
        """A configuration that cannot be used is one line with its key, and exit code 2."""
        (terminal.folder / "towpath.toml").write_text(configuration)
        answer = terminal.towpath(command, *(["--force"] if command == "init" else []))

        assert answer.exit_code == 2
        assert len(answer.errors.splitlines()) == 1
        assert said in answer.errors
        assert configuration == (terminal.folder / "towpath.toml").read_text()

    @pytest.mark.parametrize("words", [("plan",), ("init",), ("check", "--staged"), ("hooks", "install")])
    def test_no_repository(self, words: tuple[str, ...], tmp_path: Path) -> None:
        """A folder that git knows nothing of is one line that says what to do."""
        answer = Terminal(tmp_path, tmp_path / "home").towpath(*words)

        assert answer.exit_code == 2
        assert len(answer.errors.splitlines()) == 1
        assert "git" in answer.errors

    def test_unwritable_home(self, terminal: Terminal) -> None:
        """A home that cannot be written is one line that names it."""
        terminal.home.write_text("in the way")
        answer = terminal.towpath("plan")

        assert answer.exit_code in (2, 3)
        assert len(answer.errors.splitlines()) == 1
        assert str(terminal.home) in answer.errors

    def test_broken_pipe(self, terminal: Terminal) -> None:
        """A reader that goes away is no traceback."""
        done = subprocess.run(
            f"'{TOWPATH}' plan | true",
            shell=True,
            cwd=terminal.folder,
            capture_output=True,
            text=True,
            env=os.environ | {"TOWPATH_HOME": str(terminal.home)},
        )

        assert "Traceback" not in done.stderr


class TestCommands:
    def test_plan(self, terminal: Terminal) -> None:
        """The plan says what would run and why, and leaves the target alone."""
        said = terminal.towpath("plan")

        assert said.exit_code == 0
        assert "check        own/yes" in said.output
        assert "because: an own check of the configuration" in said.output
        assert git(terminal.folder, "status", "--short") == ""

    def test_init_changes_nothing(self, terminal: Terminal) -> None:
        """What init writes is accepted, and the plan with it is the plan without it."""
        (terminal.folder / "towpath.toml").unlink()
        for path, text in {
            "pyproject.toml": "[project]\nname = 'x'\n[tool.black]\n[tool.coverage.report]\nfail_under = 70\n",
            "test_a.py": "",
            "web/package.json": '{"scripts": {"build": "x"}}',
            "web/Dockerfile": "FROM x\nEXPOSE 80\n",
            "docs/broken/package.json": "{",
        }.items():
            (terminal.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (terminal.folder / path).write_text(text)
        before = terminal.towpath("plan")
        written = terminal.towpath("init")

        assert written.exit_code == 0, written.errors
        assert "minimum_percent = 70" in (terminal.folder / "towpath.toml").read_text()
        assert before == terminal.towpath("plan")

    def test_doctor(self, terminal: Terminal) -> None:
        """The doctor names what is there and what is not, and asks nobody when offline."""
        said = terminal.towpath("doctor", "--offline")

        assert said.exit_code == 0, said.output
        for name in (
            "python",
            "git",
            "uv",
            "node",
            "npm",
            "interpreters",
            "container engine",
            "state",
            "prefect server",
        ):
            assert any(line[9:].startswith(name) for line in said.output.splitlines()), name
        assert "packages" not in said.output

    def test_doctor_says_what_is_missing(self, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
        """A required program that is not there is MISSING with its remedy, and exit code 3."""
        monkeypatch.setenv("PATH", str(terminal.folder))
        said = terminal.towpath("doctor", "--offline")

        assert said.exit_code == 3
        assert "MISSING  git" in said.output
        assert "install git" in said.output
        assert "absent   node" in said.output

    def test_status_without_a_server(self, terminal: Terminal) -> None:
        """Without a server the status says so, and what the last runs ended in."""
        folder = terminal.home / "reports" / "20260101-000000-x-1"
        folder.mkdir(parents=True)
        report = {"started": "2026-01-01T00:00:00", "flow": "ci", "name": "x", "verdict": "failed", "reason": "why not"}
        (folder / "report.json").write_text(json.dumps(report))
        (terminal.home / "reports" / "20260102-000000-x-2").mkdir()
        (terminal.home / "reports" / "20260102-000000-x-2" / "report.json").write_text("{")
        said = terminal.towpath("status")

        assert said.exit_code == 0
        assert "server      does not run" in said.output
        assert "2026-01-01T00:00:00 ci of x: failed, why not" in said.output


@pytest.mark.parametrize("path", sorted(pages()))
def test_documentation(path: str) -> None:
    """The generated pages are what the code says now; `make docs` writes them anew."""
    assert pages()[path] == (ROOT / path).read_text()
