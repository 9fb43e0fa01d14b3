"""`towpath status`: what runs in the background and what waits for people; with an environment, how that stands."""

import argparse

from deployments.delivery_arguments import add_cluster_argument, add_target_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment", nargs="?", help="staging, production, ...: its release, instances and locks")
    add_target_argument(parser)
    add_cluster_argument(parser)


def run(chosen: argparse.Namespace) -> int:
    from deployments.standing import say_all, say_environment

    return (
        say_all() if chosen.environment is None else say_environment(chosen.environment, chosen.target, chosen.cluster)
    )
