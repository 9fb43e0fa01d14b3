"""What the README promises a new user, done as written, and Towpath on its own repository."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from deployments.reference import help_text
from tests.e2e.stage import NO_ENGINE, ROOT, Stage

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]
README = (ROOT / "README.md").read_text()


def make(stage: Stage, *words: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TOWPATH_", "MAKE"))}
    environment = {**kept, **NO_ENGINE, "TOWPATH_HOME": str(stage.home)}
    return subprocess.run(
        ["make", *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=800, check=False
    )


def promised_commands() -> list[str]:
    """The commands the README shows after a prompt, without their comments."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line.removeprefix("$ ").partition("#")[0].strip() for line in lines]


def test_the_readme_shows_the_help_as_it_is() -> None:
    """The help in the README is what the command prints."""
    shown = re.search(r"<!-- towpath --help -->\n```\n(.*?)```", README, re.DOTALL)

    assert shown is not None
    assert shown[1] == help_text(["--help"])


def test_the_readme_has_the_two_commands() -> None:
    """The commands the README shows are those of the Makefile, and no others."""
    assert promised_commands() == ["make run", "make run TARGET=../my-service", "make test"]


def test_make_run(stage: Stage) -> None:
    """`make run` takes the sample down the whole road: a good canary is promoted, a bad one caught, nothing lost."""
    try:
        done = make(stage, "run")
    finally:
        make(stage, "down")

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^✓ passed: 10 passed, 2 skipped", done.stdout, re.MULTILINE)) == 3
    closing = done.stdout.partition("── what you have seen ──")[2]
    assert re.search(r"s  canary of v1\.1\.0, which is good: released, .*: approved by demo", closing)
    bad = r"s  canary of v1\.2\.0, .*: rolled-back, \d+ s after it got traffic: canary \d+ errors of \d+, stable 0 of"
    assert re.search(bad, closing)
    assert re.search(r"load before the bad canary: [\d,]+ requests, 0 failed", closing)
    assert re.search(r"^the shop       http://127\.0\.0\.1:\d+$", closing, re.MULTILINE)
    assert stage.processes() == []


def test_make_run_on_a_target(stage: Stage, shop: Path) -> None:
    """`make run TARGET=...` takes that through CI, says what it leaves out, and ends with the verdict."""
    done = make(stage, "run", f"TARGET={shop}")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "image checks are skipped where no container engine is found (--allow-missing docker)" in done.stdout
    assert re.search(r"^✓ passed: 10 passed, 2 skipped \(\d+\.\d s\)$", done.stdout, re.MULTILINE)
    assert re.search(r"^report  .*/report\.md$", done.stdout, re.MULTILINE)
    assert re.search(r"^run     http://127\.0\.0\.1:\d+/runs/flow-run/[0-9a-f-]{36}$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", ["make test", "make install", "make up", "make down", "make bench", "make help"])
def test_make_knows_its_commands(stage: Stage, command: str) -> None:
    """Every command that the README or `make help` names is one that make can run."""
    done = make(stage, "--dry-run", *command.split()[1:])

    assert done.returncode == 0, done.stderr


def test_towpath_passes_its_own_ci(stage: Stage) -> None:
    """Towpath takes its own repository through CI: lint, types and the specification of its decisions."""
    run = stage.ci(ROOT)

    assert run.exit_code == 0, run.said.output
    assert run.ending_in("passed") == {"backend/ruff", "backend/mypy", "backend/pytest", "backend/coverage"}
