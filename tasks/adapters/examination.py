"""Running one tool over a project and gathering what it left: how it ended, its output, its report files."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.adapters.process import Command, Completion, Ending, Need, run
from tasks.adapters.programs import Program
from tasks.core.conclusion import Finished
from tasks.core.tools.contract import Invocation, Output, Tool

# More than any report of a sane size, less than what would hurt the machine to parse.
_READABLE_BYTES = 256 * 1024 * 1024
_LOG_BYTES = 4 * 1024 * 1024
_PYTEST_PLUGIN = Path(__file__).with_name("pytest_plugin")


@dataclass(frozen=True, kw_only=True)
class Examination:
    tool: Tool
    program: Program
    invocation: Invocation
    log: Path
    timeout_seconds: float
    max_output_bytes: int
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Examined:
    finished: Finished
    output: Output
    completion: Completion


async def examine(examination: Examination) -> Examined:
    """Run the tool and read what it left; never raises for what the tool does."""
    scratch = Path(examination.invocation.scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    stdout = scratch / "stdout"
    try:
        scratch.mkdir(parents=True)
        Path(examination.invocation.caches).mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        trouble = f"{refused.filename} could not be written: {refused.strerror}"
        return Examined(
            Finished(None, trouble, "free some space, or set TOWPATH_HOME to a place that can be written"),
            Output("", ""),
            Completion(Ending.UNWRITABLE),
        )
    completion = await run(_command(examination, stdout))
    too_big = next((path for path in (stdout, *_reports(examination)) if _size(path) > _READABLE_BYTES), None)
    if too_big:
        trouble = f"{too_big.name} of {_size(too_big)} bytes is more than Towpath reads"
        return Examined(Finished(None, trouble), Output("", completion.tail), completion)
    return Examined(finished_of(completion), _output(examination, stdout), completion)


def _command(examination: Examination, stdout: Path) -> Command:
    tool, invocation = examination.tool, examination.invocation
    return Command(
        argv=(*examination.program.argv, *tool.arguments(invocation)),
        directory=Path(invocation.directory),
        log=examination.log,
        stdout=stdout,
        timeout_seconds=examination.timeout_seconds,
        environment={**_surroundings(examination), **tool.variables(invocation), **examination.variables},
        needs=frozenset({Need.NETWORK}),
        max_output_bytes=examination.max_output_bytes,
        writes=(Path(invocation.scratch),),
    )


def _surroundings(examination: Examination) -> dict[str, str]:
    """PATH with the environment's programs first, and what marks the environment as the active one."""
    folders = [str(folder) for folder in examination.program.folders]
    venv = next(
        (folder.parent for folder in examination.program.folders if (folder.parent / "pyvenv.cfg").exists()), None
    )
    return {
        "PATH": os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)]),
        "CI": "true",
        **({"VIRTUAL_ENV": str(venv)} if venv else {}),
        **({"PYTHONPATH": str(_PYTEST_PLUGIN)} if examination.tool.name == "pytest" else {}),
    }


def finished_of(completion: Completion) -> Finished:
    if completion.ending is Ending.EXITED:
        return Finished(completion.exit_code)
    return Finished(None, completion.detail, _REMEDIES[completion.ending])


_REMEDIES = {
    Ending.EXITED: "",
    Ending.SIGNALLED: "if the kernel ended it for want of memory (dmesg says so), lower run.parallelism",
    Ending.TIMED_OUT: "see its log for where it hangs, or raise timeout_seconds of this check in towpath.toml",
    Ending.NOT_FOUND: "install it; towpath doctor shows what is missing",
    Ending.OUTPUT_TOO_BIG: "see its log for what it repeats, or raise run.max_log_bytes in towpath.toml",
    Ending.UNWRITABLE: "free some space, or set TOWPATH_HOME to a place that can be written",
}


def _reports(examination: Examination) -> list[Path]:
    """Those that lie in its scratch folder: a link out of it would have us read what the tool may not."""
    scratch = Path(examination.invocation.scratch).resolve()
    found = [scratch / name for name in examination.tool.reports]
    return [path for path in found if path.resolve().is_relative_to(scratch)]


def _output(examination: Examination, stdout: Path) -> Output:
    reports = {path.name: _text(path) for path in _reports(examination) if path.is_file()}
    return Output(_text(stdout), _text(examination.log, _LOG_BYTES), reports)


def _text(path: Path, limit: int = _READABLE_BYTES) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
