"""Which environment of which target a command means, when it is given a short name."""

import asyncio
import os
from pathlib import Path

from tasks.adapters.grounds import Ground, NameRefused, known_grounds


class NotChosen(Exception):
    """It cannot be told which environment is meant; the text is one line."""


def chosen_ground(state: Path, environment: str, target: str | None) -> Ground:
    """The environment that is meant. Raises NotChosen."""
    known = known_grounds(state)
    found = [each for each in known if each.environment == environment and target in (None, each.target)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(each.target for each in found)
        raise NotChosen(f"several targets have an environment {environment}: say which by --target ({names})")
    all_known = (
        ", ".join(f"{each.target}/{each.environment}" for each in known) or "none yet: towpath cd TARGET makes one"
    )
    raise NotChosen(f"no environment {environment}{f' of {target}' if target else ''} is known; known: {all_known}")


def named_ground(state: Path, environment: str, target: str | None) -> Ground:
    """As `chosen_ground`, and with a target's name also one that nothing was delivered to yet."""
    try:
        return Ground(state, target, environment) if target else chosen_ground(state, environment, None)
    except NameRefused as refused:
        raise NotChosen(str(refused)) from refused


def meet_cluster(state: Path, cluster: str) -> None:
    """Make this home know the environments of CONTEXT/NAMESPACE, if one is named. Raises NotChosen, PlatformTrouble."""
    if not cluster:
        return
    # NOTE: not at the top: what reaches a cluster is not needed to choose among what is known.
    from tasks.adapters.platforms.choosing import meet

    context, _, namespace = cluster.rpartition("/")
    if not (context and namespace):
        raise NotChosen(f"--cluster {cluster} is not CONTEXT/NAMESPACE, for instance prod/shop-production")
    if not asyncio.run(meet(state, context, namespace, kubeconfig=os.environ.get("KUBECONFIG", ""))):
        raise NotChosen(f"there is no environment of Towpath in {namespace} of {context}: nothing was delivered there")
