"""The pre-commit framework: its configuration file and its installation into a repository's hooks."""

import shutil
import sys
from pathlib import Path

from tasks.adapters.process import Command, Ending, Need, run
from tasks.adapters.programs import ProgramMissing, find_program
from tasks.adapters.state import write_atomically
from tasks.core.hooks import HookUnmergeable, with_hook
from tasks.core.tools.contract import CLEAN_OR_FINDINGS, Ecosystem, Output, Reading, Tool, first_lines


class HookRefused(Exception):
    """The hook was not installed; the text is one line: what, where, what to do."""


def _read(output: Output) -> Reading:
    return Reading((), 1, "installed")


PRE_COMMIT = Tool(
    name="pre-commit",
    ecosystem=Ecosystem.PYTHON,
    package="pre-commit",
    version="4.7.0",
    exits=CLEAN_OR_FINDINGS,
    arguments=lambda invocation: ("install",),
    read=_read,
)


async def install_hook(repository: Path, *, state: Path) -> tuple[str, ...]:
    """Add the hook to the repository's configuration and install it; what was done, a line each."""
    path = repository / ".pre-commit-config.yaml"
    before = path.read_text("utf-8") if path.exists() else ""
    try:
        after = with_hook(before)
    except HookUnmergeable as broken:
        raise HookRefused(f"{path}: {broken}") from broken
    if after != before:
        write_atomically(path, after)
    await _run_install(repository, state)
    what = "wrote" if not before else "kept, with our hook added" if after != before else "has our hook already"
    return (f"{path}: {what}", f"installed in {repository}; each commit now runs `towpath check --staged`", *_on_path())


def _on_path() -> tuple[str, ...]:
    if shutil.which("towpath"):
        return ()
    folder = Path(sys.executable).parent
    return (f"towpath is not on PATH, and a commit cannot pass without it: export PATH={folder}:$PATH",)


async def _run_install(repository: Path, state: Path) -> None:
    log = state / "logs" / "pre-commit-install.log"
    try:
        program = await find_program(PRE_COMMIT, None, repository, state=state, log=log)
    except ProgramMissing as missing:
        raise HookRefused(f"pre-commit is missing: {missing.trouble.reason}; {missing.trouble.remedy}") from missing
    command = Command(
        argv=(*program.argv, "install"),
        directory=repository,
        log=log,
        timeout_seconds=60,
        needs=frozenset({Need.NETWORK}),
    )
    done = await run(command)
    if done.ending is not Ending.EXITED or done.exit_code:
        raise HookRefused(f"pre-commit did not install: {done.detail or first_lines(done.tail)}")
