"""Installed dependencies: built once per lock file, whole or not at all, and every failure says what helps."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.adapters import environments
from tasks.adapters.environments import MARKER, Built, InstallFailed, build_environment, node_version_of
from tasks.adapters.installer import find_uv
from tasks.adapters.snapshots import open_snapshot
from tasks.core.installs import InstallTrouble
from tasks.planning import plan_snapshot, settings_of
from tests.adapters.real_git import git
from tests.adapters.real_tools import closed_port, silent_port, small_disk
from tests.adapters.test_process import until

ROOT = Path(environments.__file__).parents[2]
PYPROJECT = """[project]
name = "x"
version = "1"
requires-python = ">=3.11"
dependencies = ["iniconfig"]
"""


def target(folder: Path, files: dict[str, str]) -> Path:
    """A repository that holds these files."""
    repository = folder / "target"
    repository.mkdir()
    git(repository, "init", "-q", "-b", "main")
    write(repository, files)
    return repository


def write(repository: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text(text)


def package(dependencies: dict[str, str]) -> dict[str, str]:
    manifest = {"name": "x", "version": "1.0.0", "scripts": {"build": "true"}, "dependencies": dependencies}
    return {"package.json": json.dumps(manifest)}


def lock_node(repository: Path) -> str:
    subprocess.run(["npm", "install", "--package-lock-only", "--silent"], cwd=repository, check=True)
    return (repository / "package-lock.json").read_text()


def build(repository: Path, state: Path, *, timeout_seconds: float = 120.0) -> Built:
    """The only environment of the target, without the tools that Towpath would add."""

    async def once() -> Built:
        async with open_snapshot(str(repository), ref=None, state=state) as snapshot:
            wanted = replace(plan_snapshot(snapshot, settings_of(snapshot, ())).environments[0], tools=())
            log = state / "logs" / "environment"
            return await build_environment(wanted, snapshot, log=log, timeout_seconds=timeout_seconds)

    return asyncio.run(once())


def trouble_of(repository: Path, state: Path, *, timeout_seconds: float = 60.0) -> InstallTrouble:
    with pytest.raises(InstallFailed) as caught:
        build(repository, state, timeout_seconds=timeout_seconds)
    return caught.value.trouble


def is_installed(built: Built, distribution: str) -> bool:
    return bool(list(built.folder.glob(f"lib/python*/site-packages/{distribution}-*.dist-info")))


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registries that nobody answers for, and no caches to help out."""
    ask_at(closed_port(), tmp_path, monkeypatch)


def ask_at(port: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "npm_config_registry"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}/")
    for name in ("UV_CACHE_DIR", "npm_config_cache"):
        monkeypatch.setenv(name, str(folder / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("npm_config_fetch_retries", "0")


MODULE = {"pyproject.toml": f"{PYPROJECT}[tool.setuptools]\npy-modules = ['x']\n", "test_a.py": "", "x.py": ""}
REQUIREMENTS = {"requirements.txt": "iniconfig\n", "test_a.py": ""}


class TestPython:
    @pytest.mark.network
    @pytest.mark.parametrize("files", [REQUIREMENTS, MODULE])
    def test_reuse(self, files: dict[str, str], tmp_path: Path) -> None:
        """The second build is the first one, taken up within 50 ms, although a source file has changed."""
        repository, state = target(tmp_path, files), tmp_path / "state"
        first = build(repository, state)
        (repository / "test_a.py").write_text("changed = 1\n")
        second = build(repository, state)

        assert is_installed(first, "iniconfig")
        assert (first.is_reused, second.is_reused) == (False, True)
        assert (first.folder, first.fingerprint) == (second.folder, second.fingerprint)
        assert second.seconds < 0.05

    @pytest.mark.network
    def test_locked(self, tmp_path: Path) -> None:
        """A uv.lock is installed exactly; another lock is another environment, and the first is there to come back."""
        repository, state = target(tmp_path, {"pyproject.toml": PYPROJECT, "test_a.py": "", "x.py": ""}), tmp_path / "s"

        def lock(wanted: str) -> None:
            manifest = PYPROJECT.replace('"iniconfig"', f'"{wanted}"')
            (repository / "pyproject.toml").write_text(f"{manifest}[tool.uv]\npackage = false\n")
            subprocess.run([find_uv(), "lock", "--quiet"], cwd=repository, check=True)

        lock("iniconfig==2.0.0")
        first = build(repository, state)
        lock("iniconfig==2.1.0")
        second = build(repository, state)
        lock("iniconfig==2.0.0")
        third = build(repository, state)

        assert is_installed(first, "iniconfig")
        assert first.folder != second.folder
        assert not second.is_reused
        assert third.is_reused
        assert third.folder == first.folder

    @pytest.mark.network
    def test_killed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Kill -9 in the middle of an installation leaves no environment that the next run would believe."""
        repository, state = target(tmp_path, REQUIREMENTS), tmp_path / "state"
        with silent_port() as port, monkeypatch.context() as hanging:
            ask_at(port, tmp_path, hanging)
            kill_in_the_middle(repository, state, lambda: bool(list(state.glob("targets/*/*/environments/*/bin"))))
        half = list(state.glob("targets/*/*/environments/*"))
        built = build(repository, state)

        assert len(half) == 1
        assert built.folder == half[0]
        assert not built.is_reused
        assert is_installed(built, "iniconfig")

    def test_interpreter(self, tmp_path: Path) -> None:
        """A Python that this machine lacks is no crash and not temporary; the remedy installs one."""
        manifest = PYPROJECT.replace(">=3.11", ">=3.99")
        package = '[[package]]\nname = "x"\nversion = "1"\nsource = { editable = "." }\n'
        lock = f'version = 1\nrevision = 3\nrequires-python = ">=3.99"\n\n{package}'
        for number, files in enumerate(({}, {"uv.lock": lock})):
            folder = tmp_path / str(number)
            folder.mkdir()
            trouble = trouble_of(
                target(folder, {"pyproject.toml": manifest, "test_a.py": "", **files}), folder / "state"
            )

            assert "no Python >=3.99 on this machine" in trouble.reason
            assert "uv python install" in trouble.remedy
            assert not trouble.is_temporary

    @pytest.mark.usefixtures("no_network")
    def test_no_network(self, tmp_path: Path) -> None:
        """A registry that is not there is temporary, and the environment is not believed afterwards."""
        repository, state = target(tmp_path, REQUIREMENTS), tmp_path / "state"
        trouble = trouble_of(repository, state)

        assert "registry could not be reached" in trouble.reason
        assert trouble.is_temporary
        assert not list(state.rglob(MARKER))

    def test_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A registry that takes the connection and says nothing is given up at the deadline."""
        repository = target(tmp_path, REQUIREMENTS)
        with silent_port() as port:
            ask_at(port, tmp_path, monkeypatch)
            trouble = trouble_of(repository, tmp_path / "state", timeout_seconds=2)

        assert "was stopped after its 2 s" in trouble.reason

    @pytest.mark.network
    def test_broken_lock(self, tmp_path: Path) -> None:
        """A lock file that is damaged is named as what is wrong, and trying again would not help."""
        files = {"pyproject.toml": PYPROJECT, "uv.lock": "version = 1\n[[package", "test_a.py": ""}
        trouble = trouble_of(target(tmp_path, files), tmp_path / "state")

        assert "uv.lock" in trouble.reason
        assert not trouble.is_temporary

    @pytest.mark.network
    def test_generated_files(self, tmp_path: Path) -> None:
        """What a build wrote beside the code is there again when its environment is reused."""
        setup = (
            "import pathlib, setuptools\n"
            "pathlib.Path('src/pkg/_version.py').write_text('made = 1\\n')\n"
            "setuptools.setup(name='pkg', version='1', package_dir={'': 'src'}, packages=['pkg'])\n"
        )
        files = {
            "setup.py": setup,
            "pyproject.toml": "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n",
            "src/pkg/__init__.py": "",
            "test_a.py": "",
            ".gitignore": "_version.py\n*.egg-info\n",
        }
        repository, state = target(tmp_path, files), tmp_path / "state"
        build(repository, state)
        made = next(state.glob("targets/*/*/tree/src/pkg/_version.py"))
        made.unlink()
        second = build(repository, state)

        assert second.is_reused
        assert made.read_text() == "made = 1\n"
        assert not (repository / "src" / "pkg" / "_version.py").exists()

    def test_full_disk(self, tmp_path: Path) -> None:
        """A disk without room is said to be that, with what may be deleted."""
        repository = target(tmp_path, REQUIREMENTS)
        with small_disk(tmp_path / "disk", size="96k") as disk:
            trouble = trouble_of(repository, disk / "state")

        assert "space" in f"{trouble.reason} {trouble.remedy}" or "full" in trouble.reason
        assert not trouble.is_temporary


class TestNode:
    @pytest.mark.network
    def test_there_and_back(self, tmp_path: Path) -> None:
        """Lock A, then B, then A again: the modules are moved aside and back, and nothing is installed twice."""
        repository, state = target(tmp_path, {}), tmp_path / "state"
        locks: dict[str, str] = {}
        for version in ("6.0.0", "7.0.0"):
            write(repository, package({"is-number": version}))
            locks[version] = lock_node(repository)

        def use(version: str) -> tuple[Built, str]:
            write(repository, {**package({"is-number": version}), "package-lock.json": locks[version]})
            built = build(repository, state)
            return built, node_version_of(built.folder / "node_modules", "is-number")

        order = ["6.0.0", "7.0.0", "6.0.0", "7.0.0", "7.0.0"]
        uses = [use(version) for version in order]

        assert order == [version for _, version in uses]
        assert [built.is_reused for built, _ in uses] == [False, False, True, True, True]
        assert max(built.seconds for built, _ in uses[2:]) < 0.05

    @pytest.mark.network
    def test_killed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Kill -9 in the middle leaves modules that the next run deletes and installs anew."""
        repository, state = target(tmp_path, package({"is-number": "7.0.0"})), tmp_path / "state"
        with silent_port() as port, monkeypatch.context() as hanging:
            ask_at(port, tmp_path, hanging)
            kill_in_the_middle(repository, state, lambda: bool(list(state.rglob("environment.0.log"))))
        half = next(state.glob("targets/*/*/tree")) / "node_modules" / "is-number"
        half.mkdir(parents=True, exist_ok=True)
        (half / "package.json").write_text("half a file")
        built = build(repository, state)

        assert not built.is_reused
        assert node_version_of(built.folder / "node_modules", "is-number") == "7.0.0"

    @pytest.mark.network
    def test_lock_that_does_not_fit(self, tmp_path: Path) -> None:
        """A lock file of another manifest is an error that says to lock again."""
        repository = target(tmp_path, package({"is-number": "6.0.0"}))
        lock_node(repository)
        write(repository, package({"is-number": "7.0.0"}))
        trouble = trouble_of(repository, tmp_path / "state")

        assert "the lock file does not fit its manifest" in trouble.reason
        assert "lock again with npm" in trouble.remedy
        assert not trouble.is_temporary

    @pytest.mark.usefixtures("no_network")
    def test_no_network(self, tmp_path: Path) -> None:
        """A registry that is not there is temporary."""
        trouble = trouble_of(target(tmp_path, package({"is-number": "7.0.0"})), tmp_path / "state")

        assert "registry could not be reached" in trouble.reason
        assert trouble.is_temporary

    def test_missing_program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine without npm says so."""
        repository = target(tmp_path, package({"is-number": "7.0.0"}))
        only_git = tmp_path / "bin"
        only_git.mkdir()
        (only_git / "git").symlink_to(shutil.which("git") or "")
        monkeypatch.setenv("PATH", str(only_git))
        trouble = trouble_of(repository, tmp_path / "state")

        assert "npm could not be started: No such file or directory" in trouble.reason
        assert "install npm" in trouble.remedy


def kill_in_the_middle(repository: Path, state: Path, is_in_the_middle: Callable[[], bool]) -> None:
    """A run that builds the environment, killed with -9 once the condition holds."""
    script = (
        "import sys; from pathlib import Path; from tests.adapters.test_environments import build\n"
        "build(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    run = subprocess.Popen([sys.executable, "-c", script, repository, state], cwd=ROOT)
    try:
        until(is_in_the_middle, seconds=30)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
