"""`towpath init`: a commented towpath.toml that says what was found and can be set; GitHub workflows on request."""

from __future__ import annotations

import argparse
import asyncio
import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.saying import complain, say
from tasks.adapters.state import state_home, write_atomically
from tasks.core.forge.workflows import workflows
from tasks.core.outcome import ExitCode, Verdict

if TYPE_CHECKING:
    from tasks.core.plan import Plan, PlannedCheck

_BRANCH = re.compile(r"[\w./-]{1,200}")
_HEAD = """# What Towpath does with this repository. Every line is optional: this file only writes down what was found.
# All keys with their units and bounds are in Towpath's docs/configuration.md; `towpath plan` shows their effect.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", type=Path, default=Path(), help="the target's folder (default: here)")
    parser.add_argument("--force", action="store_true", help="write over existing files")
    parser.add_argument(
        "--github",
        action="store_true",
        help="write .github/workflows that call the same commands on a runner, instead of a towpath.toml",
    )
    parser.add_argument(
        "--install",
        metavar="COMMAND",
        default=f"python -m pip install towpath=={version('towpath')}",
        help="how a runner gets Towpath (default: %(default)s)",
    )
    parser.add_argument("--branch", default="main", help="the branch that is delivered (default: main)")


def run(chosen: argparse.Namespace) -> int:
    return _write_workflows(chosen) if chosen.github else _write_starter(chosen)


def _write_workflows(chosen: argparse.Namespace) -> int:
    if not _BRANCH.fullmatch(chosen.branch) or "\n" in chosen.install:
        complain("towpath init: --branch is a branch's name, --install one line of shell")
        return ExitCode.USAGE
    root = chosen.path.absolute()
    if not root.is_dir():
        complain(f"towpath init: {root} is no folder")
        return ExitCode.USAGE
    files = {root / name: text for name, text in workflows(install=chosen.install, branch=chosen.branch).items()}
    there = [path for path in files if path.exists()]
    if there and not chosen.force:
        complain(f"towpath init: {there[0]} exists; --force writes over it")
        return ExitCode.USAGE
    for path, text in files.items():
        write_atomically(path, text)
        say(f"wrote {path}")
    return ExitCode.PASSED


def _write_starter(chosen: argparse.Namespace) -> int:
    path = chosen.path.absolute() / "towpath.toml"
    if path.exists() and not chosen.force:
        complain(f"towpath init: {path} exists; --force writes over it")
        return ExitCode.USAGE
    from tasks.adapters.git import TargetRefused
    from tasks.core.settings import SettingsRefused

    try:
        plan = asyncio.run(_plan(str(chosen.path)))
    except (TargetRefused, SettingsRefused) as refused:
        complain(f"towpath init: {refused}")
        return ExitCode.USAGE
    write_atomically(path, starter(plan))
    say(f"wrote {path}")
    return ExitCode.PASSED


async def _plan(target: str) -> Plan:
    from tasks.adapters.snapshots import open_snapshot
    from tasks.planning import plan_snapshot, settings_of

    async with open_snapshot(target, ref=None, state=state_home()) as snapshot:
        return plan_snapshot(snapshot, settings_of(snapshot, ()))


def starter(plan: Plan) -> str:
    """The text of a towpath.toml for a plan; every setting in it is the one already in force."""
    from tasks.core.plan import CheckKind

    coverage = next((check for check in plan.checks if check.kind is CheckKind.COVERAGE), None)
    parts = [
        _HEAD,
        _commented("checks that run", [f"{check.id}: {check.why}" for check in plan.checks if check.settled is None]),
        _commented("checks that do not", [_unused(check) for check in plan.checks if check.settled is not None]),
        _commented("left out", list(plan.notes)),
        "[run]\n# parallelism = 0              # checks at once; 0: one per core\n# check_timeout_seconds = 1800\n",
        f"[coverage]\nminimum_percent = {coverage.minimum_percent:g}\n" if coverage else "",
        *[_image(check) for check in plan.checks if check.image is not None],
        '# [checks.mypy]\n# enabled = false\n# reason = "why, shown in every report"\n',
        '# [checks.docs]                # a check of your own\n# command = ["make", "docs"]\n# inputs = ["docs"]\n',
    ]
    return "\n".join(part for part in parts if part)


def _commented(title: str, lines: list[str]) -> str:
    return "\n".join([f"# {title}:", *[f"#   {line}" for line in lines], ""]) if lines else ""


def _unused(check: PlannedCheck) -> str:
    assert check.settled is not None
    how = f"; {check.settled.remedy}" if check.settled.verdict is Verdict.SKIPPED and check.settled.remedy else ""
    return f"{check.id}: {check.settled.reason}{how}"


def _image(check: PlannedCheck) -> str:
    assert check.image is not None
    assert check.image_settings is not None
    chosen = check.image_settings
    port = f"port = {chosen.port}" if chosen.port else "# port = 8000"
    health = f'health_path = "{chosen.health_path}"' if chosen.health_path else '# health_path = "/healthz"'
    return f'[images.{check.image.name}]\ndockerfile = "{check.image.dockerfile}"\n{port}\n{health}\n'
