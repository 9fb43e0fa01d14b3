"""`towpath doctor`: what is installed, reachable and missing on this machine, and what each lack would cost."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from deployments.saying import say
from deployments.server import describe
from tasks.adapters.state import state_home
from tasks.adapters.surroundings import Finding, look_around
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offline", action="store_true", help="do not ask the package registries")


def run(chosen: argparse.Namespace) -> int:
    findings = asyncio.run(_look(is_offline=chosen.offline))
    for finding in findings:
        say(_line(finding))
    return (
        ExitCode.ERROR if any(finding.is_required and not finding.is_well for finding in findings) else ExitCode.PASSED
    )


async def _look(*, is_offline: bool) -> list[Finding]:
    from tasks.adapters.scanner_surroundings import look_at_scanners

    state = state_home()
    with tempfile.TemporaryDirectory(prefix="towpath-doctor-") as folder:
        found, scanners, status = await asyncio.gather(
            look_around(state, asks_registries=not is_offline),
            look_at_scanners(state, Path(folder), asks_services=not is_offline),
            describe(state),
        )
    server = "runs" if status.server.is_running else "does not run; towpath ci and towpath up start it"
    return [*found, *scanners, Finding("prefect server", server, is_well=True)]


def _line(finding: Finding) -> str:
    mark = "ok     " if finding.is_well else "MISSING" if finding.is_required else "absent "
    remedy = f"; {finding.remedy}" if not finding.is_well and finding.remedy else ""
    return f"{mark}  {finding.name:16} {finding.said}{remedy}"
