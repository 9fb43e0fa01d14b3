"""`towpath hooks install`: the pre-commit hook, by the pre-commit framework, beside the hooks a repository has."""

import argparse
import asyncio
from pathlib import Path

from deployments.saying import complain, say
from tasks.adapters.git import TargetRefused
from tasks.adapters.pre_commit import HookRefused, install_hook
from tasks.adapters.staging_area import top_of
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["install"], help="write .pre-commit-config.yaml and install it")
    parser.add_argument("path", nargs="?", type=Path, default=Path(), help="a folder of the repository (default: here)")


def run(chosen: argparse.Namespace) -> int:
    try:
        said = asyncio.run(_install(chosen.path))
    except (TargetRefused, HookRefused) as refused:
        complain(f"towpath hooks: {refused}")
        return ExitCode.USAGE
    for line in said:
        say(line)
    return ExitCode.PASSED


async def _install(path: Path) -> tuple[str, ...]:
    return await install_hook(await top_of(path.absolute()), state=state_home())
