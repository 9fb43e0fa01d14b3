"""The sample shop as a git repository with three versions, for the demonstration.

Its commits are made with fixed names and dates, so that they are the same on every machine and at every run, and what
was checked or built of them once is known the next time.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tasks.adapters.process import Command, Ending, run

_SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"
_LEFT_OUT = shutil.ignore_patterns(
    "node_modules", ".venv", "dist", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", "*.db", ".coverage"
)
_IDENTITY = {
    "GIT_AUTHOR_NAME": "Shop team",
    "GIT_AUTHOR_EMAIL": "shop@example.com",
    "GIT_COMMITTER_NAME": "Shop team",
    "GIT_COMMITTER_EMAIL": "shop@example.com",
    "GIT_AUTHOR_DATE": "2026-01-01T12:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T12:00:00Z",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}
# Minutes instead of a day: fewer and larger steps than a team would take. All instances share a laptop's cores with the
# load, so that their latencies differ by the machine's own noise.
_SHORT = """
[delivery.canary]
window_seconds = 60
step_seconds = 15
scrape_seconds = 2

[delivery.canary.judge]
min_bake_seconds = 15
promote_error_absolute = 0.02
latency_slower = 1.0
promote_latency_slower = 2.0

[delivery.verification]
settle_seconds = 4
"""
# Staging has no such variable: this release fails where no test of its own could have shown it.
_DEFECT = """
[delivery.environments.production.variables.backend]
SHOP_ERROR_RATE = "0.1"
"""
_BETTER_TEXT = ("Keeps tea hot for a day.", "Keeps tea hot for two days.")


class DemoFailed(Exception):
    """The repository could not be made; the text is one line."""


async def make_repository(folder: Path) -> Path:
    """`folder/shop` with the tags v1.0.0, v1.1.0 and v1.2.0, made anew."""
    repository = folder / "shop"
    shutil.rmtree(repository, ignore_errors=True)
    shutil.copytree(_SHOP, repository, ignore=_LEFT_OUT)
    await _git(folder, "init", "--quiet", "--initial-branch=main", str(repository))
    settings = repository / "towpath.toml"
    settings.write_text(settings.read_text("utf-8") + _SHORT, "utf-8")
    await _commit(repository, "v1.0.0")
    store = repository / "backend" / "src" / "shop" / "store.py"
    store.write_text(store.read_text("utf-8").replace(*_BETTER_TEXT), "utf-8")
    await _commit(repository, "v1.1.0")
    settings.write_text(settings.read_text("utf-8") + _DEFECT, "utf-8")
    await _commit(repository, "v1.2.0")
    return repository


async def _commit(repository: Path, version: str) -> None:
    await _git(repository, "add", "--all")
    await _git(repository, "commit", "--quiet", "--message", f"Release {version}")
    await _git(repository, "tag", version)


async def _git(directory: Path, *words: str, variables: Mapping[str, str] = _IDENTITY) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    log = directory.parent / "demo-git.log"
    done = await run(
        Command(argv=("git", *words), directory=directory, log=log, timeout_seconds=60, environment=variables)
    )
    if done.ending is not Ending.EXITED or done.exit_code != 0:
        said = done.detail or done.tail.strip().splitlines()[-1:] or f"exit code {done.exit_code}"
        raise DemoFailed(f"git {words[0]} of the sample failed: {said}")
