"""`towpath guard`: undo changes whose flow is gone; `towpath up` starts one in the background."""

import argparse
import asyncio
import os

from deployments.saying import complain, say
from tasks.adapters.state import state_home
from tasks.core.outcome import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--context", default="", metavar="NAME", help="guard a cluster: its context, or in-cluster")
    parser.add_argument(
        "--namespace",
        action="append",
        default=[],
        metavar="NAME",
        help="whose environments, once for each; the first one has the Lease by which several guards agree",
    )
    parser.add_argument("--role", default="", metavar="NAME", help="print the Roles it needs there, and end")


def run(chosen: argparse.Namespace) -> int:
    if not chosen.context and not chosen.namespace and not chosen.role:
        from deployments import guard

        return guard.main()
    if not (chosen.context and chosen.namespace):
        complain("towpath guard: a cluster is guarded with --context NAME and --namespace NAME, both")
        return ExitCode.USAGE
    return _guard_cluster(chosen)


def _guard_cluster(chosen: argparse.Namespace) -> int:
    from deployments.cluster_guard import Guarding, guard_cluster, roles_of
    from tasks.core.platform import PlatformTrouble

    namespaces = tuple(dict.fromkeys(chosen.namespace))
    guarding = Guarding(chosen.context, os.environ.get("KUBECONFIG", ""), namespaces, state_home())
    try:
        if not chosen.role:
            asyncio.run(guard_cluster(guarding))
            return ExitCode.PASSED
        import yaml

        say(yaml.safe_dump_all(asyncio.run(roles_of(guarding, chosen.role)), sort_keys=False).rstrip())
    except PlatformTrouble as trouble:
        complain(f"towpath guard: {trouble}")
        return ExitCode.ERROR
    return ExitCode.PASSED
