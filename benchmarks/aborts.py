"""How soon a canary that is to go has no traffic any more: from the decision to the route, and to its last answer.

`python -m benchmarks.aborts` gives a candidate half of the traffic on the cluster of the tests, takes it away again and
repeats that under load. It promises times of a whole `set_weight(0)`: the change written down, the route changed, and
the gateway's word that it has taken it up.
"""

import argparse
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pool import cluster_here
from tasks.core.platform import Role
from tests.adapters.kubernetes_stage import Load, Stage

_AFTER = 200


@dataclass(frozen=True)
class Abort:
    """Seconds from the decision until the gateway has the route, and until the candidate's last answer."""

    routed_seconds: float
    last_answer_seconds: float


def measured(stage: Stage, rounds: int) -> list[Abort]:
    stage.run(stage.platform.begin())
    stage.deliver(stage.release("v1"))
    stage.put(stage.release("v2"))
    stage.until_ready(Role.CANDIDATE)
    with Load(stage).on() as load:
        return [_abort(stage, load) for _ in range(rounds)]


def _abort(stage: Stage, load: Load) -> Abort:
    seen = load.found["v2"]
    stage.run(stage.platform.set_weight(stage.permit, 50.0))
    _wait(lambda: load.found["v2"] > seen + 5)
    began = time.monotonic()
    stage.run(stage.platform.set_weight(stage.permit, 0.0))
    routed = time.monotonic() - began
    answered = load.found["v1"]
    _wait(lambda: load.found["v1"] > answered + _AFTER)
    return Abort(routed, load.last["v2"] - began)


def _wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60.0
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit("nothing was answered for a minute: is the gateway well?")
        time.sleep(0.01)


def _told(what: str, seconds: list[float]) -> str:
    ranked = sorted(seconds)
    p95 = ranked[max(0, round(0.95 * len(ranked)) - 1)]
    return f"{what:<28} median {statistics.median(ranked):.2f} s, p95 {p95:.2f} s, longest {ranked[-1]:.2f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    rounds: int = parser.parse_args().rounds
    namespace = f"towpath-aborts-{secrets.token_hex(3)}"
    with cluster_here() as cluster, tempfile.TemporaryDirectory() as home:
        if not cluster.gateway:
            sys.exit("TOWPATH_TEST_GATEWAY does not name a gateway of this cluster")
        cluster.run("create", "namespace", namespace)
        try:
            found = measured(Stage(Path(home), cluster, cluster.gateway, namespace), rounds)
        finally:
            cluster.run("delete", "namespace", namespace, "--wait=false")
    sys.stdout.write(f"{rounds} aborts of a canary with half of the traffic\n")
    sys.stdout.write(_told("decision to route", [each.routed_seconds for each in found]) + "\n")
    sys.stdout.write(_told("decision to last answer", [each.last_answer_seconds for each in found]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
