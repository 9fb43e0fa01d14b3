"""`towpath rollback`: put a recorded release back, whole."""

import argparse
from collections.abc import Callable
from typing import Any

from deployments.delivery_arguments import add_environment_arguments, add_person_arguments
from deployments.saying import complain
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_environment_arguments(parser)
    parser.add_argument(
        "release", nargs="?", default="previous", help="number of a record, or a version (default: the release before)"
    )
    add_person_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    from deployments.choosing import NotChosen, chosen_ground, meet_cluster
    from deployments.delivering import run_delivery
    from tasks.core.platform import PlatformTrouble

    try:
        meet_cluster(state_home(), chosen.cluster)
        ground = chosen_ground(state_home(), chosen.environment, chosen.target)
    except NotChosen as reason:
        complain(f"towpath rollback: {reason}")
        return ExitCode.USAGE
    except PlatformTrouble as trouble:
        complain(f"towpath rollback: {trouble}")
        return ExitCode.ERROR

    def flow() -> Callable[[], Any]:
        from flows.rollback import rollback

        return lambda: rollback(
            ground.target,
            ground.environment,
            chosen.release,
            who=chosen.by,
            why=chosen.reason,
            wait_seconds=chosen.wait,
            return_state=True,
        )

    return run_delivery("rollback", chosen, flow)
