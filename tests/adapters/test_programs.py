"""Which program a check gets: the target's own, else the pinned one, installed whole or not at all."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.adapters.environments import Built
from tasks.adapters.programs import Program, ProgramMissing, find_program
from tasks.core.catalogue import TOOLS
from tasks.core.environments import EnvironmentKind
from tasks.core.installs import InstallTrouble
from tasks.core.tools.contract import Ecosystem, Tool
from tests.adapters.real_tools import closed_port

# Small ones of each kind, and no others.
PYFLAKES = replace(TOOLS["ruff"], name="pyflakes", package="pyflakes", version="3.4.0")
SEMVER = replace(TOOLS["prettier"], name="semver", package="semver", version="7.7.2", ecosystem=Ecosystem.NODE)


def found(tool: Tool, state: Path, built: Built | None = None) -> Program:
    return asyncio.run(find_program(tool, built, state, state=state, log=state / "logs" / "program.log"))


def missing(tool: Tool, state: Path) -> InstallTrouble:
    with pytest.raises(ProgramMissing) as caught:
        found(tool, state)
    assert "\n" not in caught.value.trouble.reason
    return caught.value.trouble


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registries that nobody answers for, and no caches to help out."""
    registry = f"http://127.0.0.1:{closed_port()}/"
    for name in ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "npm_config_registry"):
        monkeypatch.setenv(name, registry)
    for name in ("UV_CACHE_DIR", "npm_config_cache"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("npm_config_fetch_retries", "0")


class TestPinned:
    @pytest.mark.network
    @pytest.mark.parametrize("tool", [PYFLAKES, SEMVER], ids=["python", "node"])
    def test_installed_once(self, tool: Tool, tmp_path: Path) -> None:
        """The pinned version is installed once, also by runs that need it at once, and named in the report."""

        async def both() -> tuple[Program, Program]:
            log = tmp_path / "log"
            one, two = (find_program(tool, None, tmp_path, state=tmp_path, log=log) for _ in range(2))
            return await asyncio.gather(one, two)

        one, two = asyncio.run(both())
        before = Path(one.argv[0]).stat()

        assert one == two == found(tool, tmp_path)
        assert f"{tool.version} (pinned by Towpath)" == one.label
        assert before == Path(one.argv[0]).stat()

    @pytest.mark.network
    def test_interrupted(self, tmp_path: Path) -> None:
        """An installation that was interrupted is begun anew, and never believed."""
        place = tmp_path / "tools" / "pyflakes-3.4.0"
        (place / "bin").mkdir(parents=True)
        (place / "bin" / "pyflakes").write_text("half a program")
        program = found(PYFLAKES, tmp_path)

        assert program.version == "3.4.0"
        assert "half" not in Path(program.argv[0]).read_text()

    @pytest.mark.usefixtures("no_network")
    @pytest.mark.parametrize("tool", [PYFLAKES, SEMVER], ids=["python", "node"])
    def test_no_network(self, tool: Tool, tmp_path: Path) -> None:
        """Without a registry the program is missing for now, and nothing half installed is left to be believed."""
        trouble = missing(tool, tmp_path)

        assert "registry could not be reached" in trouble.reason
        assert trouble.is_temporary
        assert not list((tmp_path / "tools").glob("*/.towpath-complete"))

    @pytest.mark.network
    def test_no_such_version(self, tmp_path: Path) -> None:
        """A version that the registry does not have is no matter of time."""
        trouble = missing(replace(PYFLAKES, version="0.0.99"), tmp_path)

        assert "pyflakes==0.0.99" in trouble.reason
        assert not trouble.is_temporary

    def test_not_brought(self, tmp_path: Path) -> None:
        """A tool that only the target can bring says to add it."""
        trouble = missing(TOOLS["vitest"], tmp_path)

        assert "vitest is not installed by the target" in trouble.reason
        assert "add vitest to its dependencies" in trouble.remedy


class TestTargets:
    def test_python(self, tmp_path: Path) -> None:
        """A tool in the target's environment is taken from there, with the version that is installed."""
        venv = tmp_path / "venv"
        (venv / "lib" / "python3.11" / "site-packages" / "pyflakes-3.0.0.dist-info").mkdir(parents=True)
        (venv / "bin").mkdir()
        (venv / "bin" / "pyflakes").touch()
        built = Built("python:.", EnvironmentKind.PYTHON, venv, "", 0.0, is_reused=True)

        assert found(PYFLAKES, tmp_path, built).label == "3.0.0 (from the target's environment)"

    def test_nearest(self, tmp_path: Path) -> None:
        """A member of a workspace takes its own installation of a tool, else that of the root."""
        for folder, version in ((tmp_path, "7.0.0"), (tmp_path / "packages" / "a", "6.0.0")):
            (folder / "node_modules" / ".bin").mkdir(parents=True)
            (folder / "node_modules" / ".bin" / "semver").touch()
            (folder / "node_modules" / "semver").mkdir()
            (folder / "node_modules" / "semver" / "package.json").write_text(f'{{"version": "{version}"}}')
        (tmp_path / "packages" / "b").mkdir()
        built = Built("node:.", EnvironmentKind.NODE, tmp_path, "", 0.0, is_reused=True)

        def version_in(folder: Path) -> str:
            return asyncio.run(find_program(SEMVER, built, folder, state=tmp_path, log=tmp_path / "log")).version

        assert version_in(tmp_path / "packages" / "a") == "6.0.0"
        assert version_in(tmp_path / "packages" / "b") == "7.0.0"
