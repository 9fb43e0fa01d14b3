"""`towpath show`: one release record, whole."""

import argparse
import asyncio

from deployments.delivery_arguments import add_cluster_argument, add_target_argument
from deployments.saying import complain, say
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("release", help="number of a record, a version, or the beginning of a digest")
    parser.add_argument("--environment", default="production", help="where (default: production)")
    add_target_argument(parser)
    add_cluster_argument(parser)
    parser.add_argument("--json", action="store_true", help="as JSON, as it lies on disk")


def run(chosen: argparse.Namespace) -> int:
    from deployments.choosing import NotChosen, chosen_ground, meet_cluster
    from tasks.adapters.platforms.choosing import safekeeping_of
    from tasks.core.delivery_report import delivery_page
    from tasks.core.platform import PlatformTrouble
    from tasks.core.safekeeping import found_in

    try:
        meet_cluster(state_home(), chosen.cluster)
        ground = chosen_ground(state_home(), chosen.environment, chosen.target)
        record = found_in(asyncio.run(safekeeping_of(ground).ledger.records()), chosen.release)
    except NotChosen as reason:
        complain(f"towpath show: {reason}")
        return ExitCode.USAGE
    except PlatformTrouble as trouble:
        complain(f"towpath show: {trouble}")
        return ExitCode.ERROR
    if record is None:
        where = ground.environment
        complain(f"towpath show: {where} has no record of {chosen.release}: towpath history {where}")
        return ExitCode.USAGE
    say(record.model_dump_json(indent=2) if chosen.json else delivery_page(record))
    return ExitCode.PASSED
