"""The pre-commit checks: what is staged, exactly as staged, through the same table of tools as CI.

The index is written out to a folder of its own, so that a half-staged file is judged by what will be committed. It
needs no Prefect and no installed environment: the tools are the target's own where they stand ready, else the version
its lock names, else Towpath's.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.adapters.environments import Built
from tasks.adapters.examination import Examination, examine
from tasks.adapters.git import export_index, git, staged_files
from tasks.adapters.programs import Program, ProgramMissing, find_program, locked_program
from tasks.adapters.staging_area import index_files
from tasks.core.catalogue import TOOLS
from tasks.core.conclusion import Place, conclude
from tasks.core.discovery import discover
from tasks.core.outcome import Outcome, Verdict
from tasks.core.projects import Texts
from tasks.core.results import CheckResult, result_of
from tasks.core.settings import read_settings
from tasks.core.staging import BASELINE, StagedCheck, plan_staged, staged_configuration
from tasks.core.tools.contract import Invocation, Tool


@dataclass(frozen=True)
class Staged:
    """A repository and its index written out to `tree`; `folder` also holds the logs."""

    repository: Path
    folder: Path
    state: Path

    @property
    def tree(self) -> Path:
        return self.folder / "tree"


async def check_staged(repository: Path, state: Path) -> tuple[CheckResult, ...]:
    """A result per tool and project that the staged files concern; none when nothing is staged."""
    paths, every = await asyncio.gather(staged_files(repository), index_files(repository))
    if not paths:
        return ()
    with _folder(state) as folder:
        staged = Staged(repository, folder, state)
        await export_index(repository, sorted({*paths, *staged_configuration(every)}), staged.tree)
        texts = Texts(frozenset(every), _texts(staged.tree, staged_configuration(every)))
        settings = read_settings(texts.contents)
        checks = plan_staged(tuple(paths), texts, discover(texts, settings.projects), settings)
        _lend_modules(staged, checks)
        if (staged.tree / BASELINE).exists():
            # NOTE: detect-secrets asks git whether its baseline is staged, and takes no answer for a no.
            await git("init", "--quiet", directory=staged.tree)
        return tuple(await asyncio.gather(*[_check(check, staged) for check in checks]))


@contextmanager
def _folder(state: Path) -> Iterator[Path]:
    (state / "staged").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=state / "staged"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _texts(tree: Path, paths: list[str]) -> Mapping[str, str]:
    return {path: (tree / path).read_text("utf-8", "replace") for path in paths if (tree / path).is_file()}


def _lend_modules(staged: Staged, checks: tuple[StagedCheck, ...]) -> None:
    """Node finds plugins only beside the code: the repository's own node_modules, by a link."""
    for folder in {folder for check in checks for folder in check.modules}:
        source, link = staged.repository / folder / "node_modules", staged.tree / folder / "node_modules"
        if source.is_dir() and not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source, target_is_directory=True)


async def _check(check: StagedCheck, staged: Staged) -> CheckResult:
    tool = TOOLS[check.tool]
    log = staged.folder / "logs" / f"{check.id.replace('/', '-')}.log"
    try:
        program = await _program(check, tool, staged, log)
    except ProgramMissing as missing:
        trouble = missing.trouble
        return result_of(check.id, Outcome(Verdict.ERROR, trouble.reason, remedy=trouble.remedy), tool=tool.name)
    examined = await examine(
        Examination(
            tool=tool,
            program=program,
            invocation=_invocation(check, staged),
            log=log,
            timeout_seconds=check.timeout_seconds,
            max_output_bytes=1 << 28,
        )
    )
    place = Place(str(staged.tree), check.folder)
    conclusion = conclude(tool, examined.finished, examined.output, place, reproduce="towpath check --staged")
    result = result_of(check.id, conclusion.outcome, conclusion.reading, tool=tool.name)
    return result.model_copy(update={"seconds": round(examined.completion.seconds, 3), "version": program.label})


def _invocation(check: StagedCheck, staged: Staged) -> Invocation:
    name = check.id.replace("/", "-")
    return Invocation(
        directory=str(staged.tree / check.folder),
        caches=str(staged.state / "staged-caches" / name),
        scratch=str(staged.folder / "files" / name),
        paths=check.paths,
        options=check.options,
    )


async def _program(check: StagedCheck, tool: Tool, staged: Staged, log: Path) -> Program:
    wanted = replace(tool, version=check.version or tool.version)
    for folder in check.environments:
        place = staged.repository / folder
        found = locked_program(tool, Built(folder, check.kind, place, "", 0.0, is_reused=True), place)
        if found and (not check.version or found.version == check.version):
            return found
    return await find_program(wanted, None, staged.tree / check.folder, state=staged.state, log=log)
