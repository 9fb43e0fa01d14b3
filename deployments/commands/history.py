"""`towpath history`: every change of an environment, from its release records."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from deployments.delivery_arguments import add_environment_arguments
from deployments.saying import complain, say
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode

if TYPE_CHECKING:
    from tasks.core.records import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_environment_arguments(parser)
    parser.add_argument("--newest", type=int, default=20, metavar="COUNT", help="how many, counted from the last")


def run(chosen: argparse.Namespace) -> int:
    from deployments.choosing import NotChosen, chosen_ground, meet_cluster
    from tasks.adapters.platforms.choosing import safekeeping_of
    from tasks.core.platform import PlatformTrouble

    try:
        meet_cluster(state_home(), chosen.cluster)
        ground = chosen_ground(state_home(), chosen.environment, chosen.target)
        records = asyncio.run(safekeeping_of(ground).ledger.records())
    except NotChosen as reason:
        complain(f"towpath history: {reason}")
        return ExitCode.USAGE
    except PlatformTrouble as trouble:
        complain(f"towpath history: {trouble}")
        return ExitCode.ERROR
    for record in records[-chosen.newest :]:
        say(_line(record))
    if not records:
        say(f"nothing was ever released to {ground.target}/{ground.environment}")
    return ExitCode.PASSED


def _line(record: Record) -> str:
    what = f"{record.number:4}  {record.ended[:19].replace('T', ' ')}  {record.kind:10} {record.release.version:12}"
    return f"{what} {record.ending:11} {record.who}: {' '.join(record.reason.split())[:140]}"
