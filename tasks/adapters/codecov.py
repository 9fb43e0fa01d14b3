"""Coverage to Codecov, by its own command-line program; the token goes through its environment, never its arguments."""

from dataclasses import dataclass, field
from pathlib import Path

from tasks.adapters.process import Command, Ending, Need, run
from tasks.adapters.programs import ProgramMissing, find_program
from tasks.core.tools.contract import CLEAN_OR_FINDINGS, Ecosystem, Output, Reading, Tool, first_lines


def _read(output: Output) -> Reading:
    return Reading((), 1, "uploaded")


CODECOV = Tool(
    name="codecovcli",
    ecosystem=Ecosystem.PYTHON,
    package="codecov-cli",
    version="11.3.1",
    exits=CLEAN_OR_FINDINGS,
    arguments=lambda invocation: (),
    read=_read,
)


@dataclass(frozen=True, kw_only=True)
class Upload:
    files: tuple[Path, ...]
    revision: str
    flags: tuple[str, ...]
    token: str = field(repr=False)
    directory: Path
    log: Path


async def upload(upload: Upload, *, state: Path) -> str:
    """Send the reports; the answer is empty when they arrived, else why not in one line."""
    if not upload.files:
        return "there is no coverage report to upload"
    try:
        program = await find_program(CODECOV, None, upload.directory, state=state, log=upload.log)
    except ProgramMissing as missing:
        return missing.trouble.reason
    completion = await run(
        Command(
            argv=(*program.argv, *arguments(upload)),
            directory=upload.directory,
            log=upload.log,
            timeout_seconds=300,
            environment={"CODECOV_TOKEN": upload.token},
            needs=frozenset({Need.NETWORK}),
        )
    )
    if completion.ending is Ending.EXITED and completion.exit_code == 0:
        return ""
    return completion.detail or first_lines(completion.tail) or f"codecovcli exited {completion.exit_code}"


def arguments(upload: Upload) -> tuple[str, ...]:
    """codecov-cli's `upload-process`: commit, report, upload; --fail-on-error makes its exit code speak."""
    files = tuple(part for path in upload.files for part in ("--file", str(path)))
    flags = tuple(part for flag in upload.flags for part in ("--flag", flag))
    return ("upload-process", "--fail-on-error", "--disable-search", "--commit-sha", upload.revision, *files, *flags)
