"""`towpath check --staged`: format, lint and security over what is staged, before it becomes a commit.

A commit waits for this, so what costs most, the imports, is done while the starter of the tools comes up beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.leaving import QuickExit
from deployments.saying import complain, say
from tasks.adapters.process import warm_up
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode, exit_code, worst

if TYPE_CHECKING:
    from tasks.core.results import CheckResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", type=Path, default=Path(), help="a folder of the repository (default: here)")
    parser.add_argument("--staged", action="store_true", required=True, help="look at the index, not at the work tree")


def run(chosen: argparse.Namespace) -> int:
    warm_up()
    # NOTE: nothing made from here on is garbage before the process ends; looking for some costs a tenth of the time.
    gc.disable()
    # Reading every installed package's entry points for plugins of pydantic, of which there are none here.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    leave = QuickExit()
    leave.code = _run(chosen.path)
    return leave.code


def _run(path: Path) -> int:
    from tasks.adapters.git import TargetRefused
    from tasks.core.settings import SettingsRefused

    try:
        results = asyncio.run(_check(path))
    except (TargetRefused, SettingsRefused) as refused:
        complain(f"towpath check: {refused}")
        return ExitCode.USAGE
    for line in (line for result in results for line in _lines(result)):
        say(line)
    if not results:
        say("nothing staged that a check looks at")
        return ExitCode.PASSED
    return exit_code(worst(result.verdict for result in results))


async def _check(path: Path) -> tuple[CheckResult, ...]:
    from tasks.adapters.staging_area import top_of
    from tasks.staged import check_staged

    return await check_staged(await top_of(path.absolute()), state_home())


def _lines(result: CheckResult) -> list[str]:
    head = f"{result.verdict:8} {result.id:28} {result.seconds:5.2f} s  {result.tool} {result.version}"
    if not result.verdict.blocks:
        return [head]
    shown = [
        f"         {place.path}:{place.line or 1}: {place.message} {place.code}".rstrip()
        for place in result.problems[:20]
    ]
    return [head, *(shown or [f"         {result.reason}"]), f"         to do: {result.remedy}"]
