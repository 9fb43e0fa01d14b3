"""Records the outputs again: `python -m tests.assets.record FOLDER [TOOL]` installs the tools there and runs them."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tasks.adapters.examination import Examination, Examined, examine
from tasks.adapters.installer import find_uv
from tasks.adapters.programs import Program
from tasks.core.catalogue import TOOLS
from tasks.core.tools.contract import Ecosystem, Invocation
from tests.assets.cases import CASES, NODE_TOOLS, PYTHON_TOOLS, Case
from tests.assets.recording import ASSETS

_MODULES = {"pytest": ("python", "-m", "pytest")}


def install(folder: Path) -> None:
    """Every tool of every version, each group in a folder of its own; what is there already stays."""
    uv = str(find_uv())
    for name, packages in PYTHON_TOOLS.items():
        if not (folder / name).exists():
            subprocess.run([uv, "venv", "--quiet", folder / name], check=True)
            subprocess.run([uv, "pip", "install", "--quiet", "--python", folder / name, *packages], check=True)
    for name, packages in NODE_TOOLS.items():
        if not (folder / name).exists():
            (folder / name).mkdir(parents=True)
            (folder / name / "package.json").write_text('{"private": true}')
            subprocess.run(["npm", "install", "--silent", *packages], cwd=folder / name, check=True)


def main(folder: Path, wanted: frozenset[str]) -> int:
    install(folder)
    for case in CASES:
        if not wanted or case.tool in wanted:
            with tempfile.TemporaryDirectory(dir=folder) as work:
                examined = asyncio.run(_run(case, folder, Path(work)))
                _keep(case, examined, tools=folder / case.tools, work=Path(work))
    return 0


async def _run(case: Case, folder: Path, work: Path) -> Examined:
    tree = work / "tree"
    for path, text in case.files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    tool, tools = TOOLS[case.tool], folder / case.tools
    is_node = tool.ecosystem is Ecosystem.NODE
    binaries = tools / "node_modules" / ".bin" if is_node else tools / "bin"
    if is_node:
        (tree / "node_modules").symlink_to(tools / "node_modules", target_is_directory=True)
    invocation = Invocation(
        directory=str(tree),
        caches=str(work / "caches"),
        scratch=str(work / "scratch"),
        paths=tuple(path for path in case.paths if path == "." or path in case.files),
        options=case.options,
    )
    return await examine(
        Examination(
            tool=tool,
            program=Program(_argv(case, binaries), "", "", (binaries,)),
            invocation=invocation,
            log=work / "log",
            timeout_seconds=120,
            max_output_bytes=1 << 24,
        )
    )


def _argv(case: Case, binaries: Path) -> tuple[str, ...]:
    if case.tool == "script":
        return ("npm",)
    program, *words = _MODULES.get(case.tool, (case.tool.removesuffix("-format"),))
    return (str(binaries / program), *words)


def _keep(case: Case, examined: Examined, *, tools: Path, work: Path) -> None:
    place = ASSETS / case.tool / case.name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    output = examined.output
    known = {str(work / "tree"): "/tree", str(work): "/work", str(tools): "/tools", str(tools.parent): "/tools"}
    known |= {os.uname().nodename: "here", str(Path.home()): "/home"}
    for name, text in {"stdout": output.stdout, "log": output.log, **output.reports}.items():
        (place / name).write_text(_without(text, known))
    (place / "exit_code").write_text(f"{examined.finished.exit_code}\n")
    sys.stdout.write(json.dumps([case.tool, case.name, examined.finished.exit_code, examined.finished.trouble]) + "\n")


def _without(text: str, known: dict[str, str]) -> str:
    for path, name in known.items():
        text = text.replace(path, name)
    return text


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), frozenset(sys.argv[2:])))
