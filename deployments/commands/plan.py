"""`towpath plan`: what `ci` would run over a target, with which tool version, and why; nothing is installed or run."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from deployments.saying import complain, say
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode

if TYPE_CHECKING:
    from tasks.core.plan import Plan, PlannedCheck


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", nargs="?", default=".", help="folder in a git work tree, or a git URL (default: here)"
    )
    parser.add_argument("--ref", help="branch, tag or commit; by default the work tree as it is")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting over towpath.toml's")


def run(chosen: argparse.Namespace) -> int:
    from tasks.adapters.git import TargetRefused
    from tasks.core.settings import SettingsRefused

    try:
        plan = asyncio.run(_plan(chosen))
    except (TargetRefused, SettingsRefused) as refused:
        complain(f"towpath plan: {refused}")
        return ExitCode.USAGE
    for line in plan_lines(plan):
        say(line)
    return ExitCode.PASSED


async def _plan(chosen: argparse.Namespace) -> Plan:
    from tasks.adapters.snapshots import open_snapshot
    from tasks.planning import plan_snapshot, settings_of

    async with open_snapshot(chosen.target, ref=chosen.ref, state=state_home()) as snapshot:
        return plan_snapshot(snapshot, settings_of(snapshot, tuple(chosen.set)))


def plan_lines(plan: Plan) -> list[str]:
    environments = [
        f"environment  {place.id:24} by {place.manager.value}, from {_shown(place.inputs)}"
        for place in plan.environments
    ]
    checks = [_line(check) for check in sorted(plan.checks, key=lambda check: (check.settled is not None, check.id))]
    return [*environments, *checks, *[f"note         {note}" for note in plan.notes]]


def _shown(inputs: tuple[str, ...]) -> str:
    locks = [path for path in inputs if "lock" in path]
    return ", ".join(locks or inputs[:3])


def _line(check: PlannedCheck) -> str:
    if check.settled is not None:
        return f"not run      {check.id:24} {check.settled.verdict}: {check.settled.reason}"
    return f"check        {check.id:24} {_tool(check):32} because: {check.why}"


def _tool(check: PlannedCheck) -> str:
    if check.program:
        return " ".join((*check.program, *check.options.get("script", ())))
    if check.version:
        return f"{check.tool} {check.version} ({'locked' if check.is_declared else 'from its pre-commit hook'})"
    from tasks.core.catalogue import TOOLS

    tool = TOOLS.get(check.tool)
    if tool is None or not tool.version:
        return check.tool
    return f"{check.tool} (as installed)" if check.is_declared else f"{check.tool} {tool.version} (pinned by Towpath)"
