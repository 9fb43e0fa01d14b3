"""A rollout killed with -9 at any of its states, or its machine gone: guards with minimal rights take it back."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.adapters.platforms.choosing import meet, safekeeping_of
from tasks.core.records import Ending, Kind, Record
from tasks.core.release import Release
from tasks.core.rollout_words import Phase
from tests.adapters.kubernetes_stage import Stage
from tests.deployments.cluster_guards import ACCOUNT, GuardProcess, two_guards
from tests.lab.cluster.facts import Cluster, Gateway

pytest_plugins = ["tests.lab.pytest_cluster"]
_ROOT = Path(__file__).parents[2]
WHOLE_SECONDS = 30.0


class Scene:
    """An environment with a stable release, in a namespace of its own, and a release that is to be tried there."""

    def __init__(self, folder: Path, cluster: Cluster, gateway: Gateway, namespace: str) -> None:
        self.stage = Stage(folder, cluster, gateway, namespace)
        stage = self.stage
        stage.run(stage.platform.begin())
        stage.run(meet(stage.home, cluster.context, namespace, kubeconfig=str(cluster.kubeconfig)))
        stage.deliver(stage.release("v1"))
        stage.until_ready(stage.status().instances[0].role)
        self.release: Release = stage.release("v2", replicas=2)
        self.before = stage.objects()
        self.give_back()

    def give_back(self) -> None:
        keeping = safekeeping_of(self.stage.ground)
        self.stage.run(keeping.lock.release(self.stage.permit))

    def start(self, phase: Phase) -> "subprocess.Popen[str]":
        """A flow that has come to the phase."""
        words = [sys.executable, "-m", "tests.deployments.dying_flow", str(self.stage.home), phase.value]
        flow = subprocess.Popen(
            [*words, self.release.model_dump_json()], cwd=_ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert flow.stdout is not None
        assert flow.stdout.readline() == "there\n", f"it never came to {phase}"
        if phase is Phase.PROMOTING:
            self.stage.until(lambda status: status.note)
        return flow

    def until_whole(self, since: float) -> float:
        """How long it took until the guard had nothing more to do here."""
        promise = safekeeping_of(self.stage.ground).promise
        while self.stage.run(promise.is_there()):
            assert time.monotonic() - since < 2 * WHOLE_SECONDS, "nobody takes it back"
            time.sleep(0.1)
        return time.monotonic() - since

    def records(self) -> tuple[Record, ...]:
        return self.stage.run(safekeeping_of(self.stage.ground).ledger.records())


@dataclass(frozen=True)
class Ended:
    """What became of a rollout that was killed."""

    seconds: float
    records: tuple[Record, ...]
    before: dict[str, Any]
    after: dict[str, Any]
    answers: dict[str, int]


def kill_at(scene: Scene, phase: Phase) -> Ended:
    flow = scene.start(phase)
    flow.kill()
    killed = time.monotonic()
    flow.wait()
    assert flow.stdout is not None
    flow.stdout.close()
    seconds = scene.until_whole(killed)
    stage = scene.stage
    return Ended(seconds, scene.records(), scene.before, stage.objects(), dict(stage.answers(20)))


@pytest.fixture(scope="module")
def namespaces(cluster: Cluster) -> Iterator[list[str]]:
    """One for each phase of a rollout."""
    with ExitStack() as held:
        made = [f"towpath-test-{os.getpid()}-{phase}" for phase in Phase]
        for name in made:
            cluster.run("create", "namespace", name)
            held.callback(cluster.run, "delete", "namespace", name, "--wait=false")
        yield made


@pytest.fixture(scope="module")
def scenes(
    namespaces: list[str], cluster: Cluster, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> dict[Phase, Scene]:
    base = tmp_path_factory.mktemp("scenes")

    def make(phase: Phase, namespace: str) -> Scene:
        return Scene(base / phase, cluster, gateway, namespace)

    with ThreadPoolExecutor(len(Phase)) as pool:
        return dict(zip(Phase, pool.map(make, Phase, namespaces), strict=True))


@pytest.fixture(scope="module")
def guards(
    scenes: dict[Phase, Scene],
    namespaces: Sequence[str],
    cluster: Cluster,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[GuardProcess, GuardProcess]]:
    del scenes  # Made first: the Roles are of what is there.
    with two_guards(cluster, namespaces, tmp_path_factory.mktemp("guards")) as both:
        yield both


@pytest.fixture(scope="module")
def ended(scenes: dict[Phase, Scene], guards: tuple[GuardProcess, GuardProcess]) -> dict[Phase, Ended]:
    """All at once, since most of it is waiting until a death is certain."""
    del guards
    with ThreadPoolExecutor(len(Phase)) as pool:
        return dict(zip(Phase, pool.map(kill_at, scenes.values(), Phase), strict=True))


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.PROMOTED])
def test_killed_at(ended: dict[Phase, Ended], phase: Phase) -> None:
    """Whatever state the rollout died in, the environment is what it was, byte for byte in what is ours, in 30 s."""
    found = ended[phase]
    (record,) = found.records

    assert found.seconds < WHOLE_SECONDS
    assert found.after == found.before
    assert found.answers == {"v1": 20}
    assert (record.kind, record.ending) == (Kind.GUARD, Ending.ROLLED_BACK)
    assert record.run.startswith(f"run-{phase}")
    assert "no sign of life" in record.reason


def test_killed_when_promoted(ended: dict[Phase, Ended]) -> None:
    """A release that had taken over before its flow died stays, and is put on record as released."""
    found = ended[Phase.PROMOTED]
    (record,) = found.records

    assert found.seconds < WHOLE_SECONDS
    assert found.answers == {"v2": 20}
    assert not [name for name in found.after if "canary" in name]
    assert (record.ending, record.release.version) == (Ending.RELEASED, "v2")


@pytest.mark.parametrize(
    "asked",
    [
        ("get", "secrets"),
        ("list", "secrets"),
        ("get", "secrets/shop-database"),
        ("create", "secrets"),
        ("create", "pods"),
        ("create", "pods", "--subresource=exec"),
        ("patch", "roles.rbac.authorization.k8s.io"),
        ("delete", "persistentvolumeclaims"),
        ("impersonate", "serviceaccounts"),
    ],
    ids=" ".join,
)
def test_may_not(cluster: Cluster, namespaces: list[str], guards: object, asked: tuple[str, ...]) -> None:
    """The rights that were enough to take everything back are no more than that."""
    del guards
    assert not may(cluster, namespaces[0], namespaces[0], *asked)


@pytest.mark.parametrize("kind", ["configmaps", "leases.coordination.k8s.io", "deployments.apps"])
def test_nowhere_else(cluster: Cluster, namespaces: list[str], guards: object, kind: str) -> None:
    """What the guard may do in its namespaces it may do in no other."""
    del guards
    assert may(cluster, namespaces[0], namespaces[1], "get", kind)
    assert not may(cluster, namespaces[0], "default", "get", kind)


def may(cluster: Cluster, home: str, namespace: str, *asked: str) -> bool:
    account = f"system:serviceaccount:{home}:{ACCOUNT}"
    argv = [str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig), "--context", cluster.context, "-n"]
    words = [*argv, namespace, "auth", "can-i", *asked, f"--as={account}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.strip() in ("yes", "no"), done.stderr
    return done.stdout.strip() == "yes"


def test_the_leader_is_killed_too(
    scenes: dict[Phase, Scene], ended: dict[Phase, Ended], guards: tuple[GuardProcess, GuardProcess]
) -> None:
    """When flow and leading guard are killed with -9 at once, the other guard has the environment whole in 30 s."""
    leader, other = guards
    scene, before = scenes[Phase.WATCHING], ended[Phase.WATCHING].after
    flow = scene.start(Phase.WATCHING)
    flow.kill()
    leader.process.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    flow.wait()
    assert flow.stdout is not None
    flow.stdout.close()

    assert scene.until_whole(killed) < WHOLE_SECONDS
    assert " leading" in other.said
    assert scene.stage.objects() == before
    assert [record.number for record in scene.records()] == [1, 2]
