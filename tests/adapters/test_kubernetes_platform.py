"""The Kubernetes platform on a real cluster, with a real gateway."""

import json
import time
from pathlib import Path

import pytest

from tasks.adapters.artifacts import artifact_folder
from tasks.adapters.platforms.kubernetes.preflight import must_be_able
from tasks.adapters.platforms.kubernetes.requests import Conflict
from tasks.core.platform import PermitRevoked, PlatformTrouble, Role
from tests.adapters.kubernetes_stage import Load, Stage
from tests.deployments.cluster_guards import as_user
from tests.lab.cluster.facts import Cluster, Gateway

pytest_plugins = ["tests.lab.pytest_cluster"]


@pytest.fixture
def stage(tmp_path: Path, cluster: Cluster, gateway: Gateway, namespace: str) -> Stage:
    made = Stage(tmp_path, cluster, gateway, namespace)
    made.run(made.platform.begin())
    return made


def test_a_release_comes_to_an_empty_namespace(stage: Stage) -> None:
    """The first release is put, gets all of the traffic, becomes stable, and nothing of a candidate is left."""
    assert stage.status().stable is None
    stage.deliver(stage.release("v1"))

    status = stage.until_ready(Role.STABLE)
    assert (status.stable and status.stable.version, status.candidate, status.candidate_percent) == ("v1", None, 0.0)
    assert stage.answers(20) == {"v1": 20}
    assert not [name for name in stage.objects() if "canary" in name]


def test_a_canary_gets_its_share_and_goes(stage: Stage) -> None:
    """The share is what was given, the counters tell the two apart, and afterwards everything is as it was."""
    stage.deliver(stage.release("v1"))
    before = stage.objects()
    stage.put(stage.release("v2", FAILS="1"))
    stage.until_ready(Role.CANDIDATE)
    stage.run(stage.platform.set_weight(stage.permit, 10.0))
    assert stage.status().candidate_percent == 10.0
    stage.until_seen("500")
    found = stage.answers(200)
    assert 10 <= found["500"] <= 30

    snapshot = stage.run(stage.platform.snapshot("production"))
    assert snapshot.share == 0.1
    assert [each.errors for each in (snapshot.canary or {}).values()] == [float(stage.seen["500"])]
    assert sum(each.errors for each in (snapshot.stable or {}).values()) == 0
    assert all(each.started is not None for each in (snapshot.canary or {}).values())

    stage.run(stage.platform.remove(stage.permit))
    assert stage.answers(50) == {"v1": 50}
    assert stage.objects() == before


def test_the_nginx_router(stage: Stage) -> None:
    """Where an Ingress leads to a component, a canary Ingress gives its share, and goes with it."""
    stage.has_ingress = True
    stage.deliver(stage.release("v1"))
    stage.until_seen("v1")
    stage.put(stage.release("v2"))
    stage.until_ready(Role.CANDIDATE)
    stage.run(stage.platform.set_weight(stage.permit, 20.0))
    stage.until_seen("v2")
    assert 25 <= stage.answers(200)["v2"] <= 55
    assert "Ingress/web-canary" in stage.objects()

    stage.run(stage.platform.set_weight(stage.permit, 0.0))
    assert "Ingress/web-canary" not in stage.objects()
    stage.run(stage.platform.remove(stage.permit))
    assert stage.answers(50) == {"v1": 50}


def test_a_scaler_owns_the_number(stage: Stage) -> None:
    """With an autoscaler a release comes up in its whole size at once, and the scaler's minimum is that size."""
    stage.has_scaler = True
    stage.deliver(stage.release("v1", replicas=3))
    status = stage.until_ready(Role.STABLE, 3)
    assert len(status.of(Role.STABLE)) == 3
    told = stage.lab.run("-n", stage.namespace, "get", "hpa", "web", "-o", "jsonpath={.spec.minReplicas}")
    assert told == "3"

    stage.deliver(stage.release("v2", replicas=2))
    stage.until_ready(Role.STABLE, 2)
    told = stage.lab.run("-n", stage.namespace, "get", "hpa", "web", "-o", "jsonpath={.spec.minReplicas}")
    assert told == "2"


def test_nobody_notices_a_release(stage: Stage) -> None:
    """While requests come all the time a release replaces another, and none fails."""
    stage.deliver(stage.release("v1", replicas=2))
    with Load(stage).on() as load:
        stage.deliver(stage.release("v2", replicas=2))
        stage.until_ready(Role.STABLE, 2)
    assert set(load.found) == {"v1", "v2"}, load.found
    assert stage.answers(20) == {"v2": 20}


def test_an_abort_is_quick(stage: Stage) -> None:
    """Taking the traffic from a candidate takes less than a second, and its last answer comes at most two later."""
    stage.deliver(stage.release("v1"))
    stage.put(stage.release("v2"))
    stage.until_ready(Role.CANDIDATE)
    stage.run(stage.platform.set_weight(stage.permit, 50.0))
    with Load(stage).on() as load:
        while not load.found["v2"]:
            time.sleep(0.01)
        began = time.monotonic()
        stage.run(stage.platform.set_weight(stage.permit, 0.0))
        took = time.monotonic() - began
        seen = load.found["v1"]
        while load.found["v1"] < seen + 300:
            time.sleep(0.01)
    assert took < 1.0
    assert load.last["v2"] - began < 2.0 + took
    assert set(load.found) == {"v1", "v2"}


def test_what_is_not_ready_gets_no_traffic(stage: Stage) -> None:
    """A candidate without a ready pod is given none, and the status says by its probe why it is not ready."""
    stage.deliver(stage.release("v1"))
    stage.put(stage.release("v2", NEVER_READY="1"))
    with pytest.raises(PlatformTrouble, match="no pod of web v2 is ready"):
        stage.run(stage.platform.set_weight(stage.permit, 10.0))
    with pytest.raises(PlatformTrouble, match="no pod of web v2 is ready"):
        stage.run(stage.platform.promote(stage.permit))
    stage.until(lambda status: any("statuscode: 503" in each.note for each in status.of(Role.CANDIDATE)))
    assert stage.answers(20) == {"v1": 20}


def test_an_image_that_is_not_there(stage: Stage) -> None:
    """That an image cannot be pulled is told with its name, and that no waiting will mend it."""
    name = f"{stage.lab.images.python.rpartition('/')[0]}/nothing:here"
    stage.put(stage.release("v1", image=name))
    status = stage.until(lambda status: status.hopeless(Role.CANDIDATE))
    assert name in status.hopeless(Role.CANDIDATE)


def test_a_quota(stage: Stage) -> None:
    """A quota that lets no pod in is told in the cluster's own words."""
    stage.lab.run("-n", stage.namespace, "create", "quota", "none", "--hard=pods=0")
    stage.put(stage.release("v1"))
    status = stage.until(lambda status: status.hopeless(Role.CANDIDATE))
    assert "exceeded quota: none" in status.hopeless(Role.CANDIDATE)


def test_a_promotion_that_was_cut_short(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever undoes it puts the old release back before that gets the traffic, and no request fails."""
    stage.deliver(stage.release("v1"))
    before = stage.objects()
    stage.put(stage.release("v2"))
    stage.until_ready(Role.CANDIDATE)
    stage.run(stage.platform.set_weight(stage.permit, 100.0))
    dying = stage.another()

    async def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tasks.adapters.platforms.kubernetes.platform.until_rolled_out", die)
        with pytest.raises(KeyboardInterrupt):
            stage.run(dying.promote(stage.permit))
    guard = stage.another()
    with Load(stage).on() as load:
        stage.run(guard.set_weight(stage.permit, 0.0))
        stage.run(guard.remove(stage.permit))
    assert set(load.found) <= {"v1", "v2"}
    assert stage.answers(20) == {"v1": 20}
    assert stage.objects() == before


def test_a_permit_that_was_taken_away(stage: Stage) -> None:
    """Whoever lost the environment changes nothing in the cluster any more."""
    lost = stage.permit
    stage.deliver(stage.release("v1"))
    stage.put(stage.release("v2"))
    stage.until_ready(Role.CANDIDATE)
    stage.permit = stage.take()
    for work in (stage.platform.set_weight(lost, 50.0), stage.platform.promote(lost), stage.platform.remove(lost)):
        with pytest.raises(PermitRevoked):
            stage.run(work)
    assert stage.answers(20) == {"v1": 20}


def test_a_kind_that_the_cluster_does_not_know(stage: Stage) -> None:
    """Where the definition of one object is absent nothing of the release is applied, and it is said what to do."""
    stage.deliver(stage.release("v1"))
    before, second = generations(stage), stage.release("v2")
    file = artifact_folder(stage.home, second.artifact) / "artifact.json"
    built = json.loads(file.read_text())
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"}}
    built["manifests"]["production"].append(rollout)
    file.write_text(json.dumps(built))
    for work in (stage.platform.surround(stage.permit, second), stage.platform.put(stage.permit, second, {"web": 1})):
        with pytest.raises(
            PlatformTrouble, match=r"knows no Rollout of argoproj\.io/v1alpha1: install what defines it"
        ):
            stage.run(work)
    assert generations(stage) == before


def test_rights_that_are_too_small(stage: Stage, tmp_path: Path) -> None:
    """An account that may not change one kind of the release is told which, before anything is applied."""
    stage.deliver(stage.release("v1"))
    before, second = generations(stage), stage.release("v2")
    in_namespace = ("-n", stage.namespace, "create")
    stage.lab.run(*in_namespace, "serviceaccount", "small")
    kinds = "deployments,services,configmaps,secrets,pods,pods/log,pods/proxy,jobs,events,leases"
    verbs = "get,list,create,update,patch,delete"
    stage.lab.run(*in_namespace, "role", "small", f"--verb={verbs}", f"--resource={kinds}")
    stage.lab.run(*in_namespace, "rolebinding", "small", "--role=small", f"--serviceaccount={stage.namespace}:small")
    token = stage.lab.run(*in_namespace, "token", "small").strip()
    small = stage.another(kubeconfig=str(as_user(stage.lab, token, tmp_path / "small")))
    stage.run(must_be_able(small.cluster))
    for work in (small.surround(stage.permit, second), small.put(stage.permit, second, {"web": 1})):
        with pytest.raises(PlatformTrouble, match=r"may not create httproutes, patch httproutes in .*: bind a Role"):
            stage.run(work)
    assert generations(stage) == before


def generations(stage: Stage) -> list[str]:
    """Every object that a release has, and how often it was changed."""
    kinds = "configmaps,secrets,deployments,services,httproutes"
    wanted = '{range .items[*]}{.kind}/{.metadata.name} {.metadata.generation} {.data}{"\\n"}{end}'
    return stage.lab.run("-n", stage.namespace, "get", kinds, "-o", f"jsonpath={wanted}").splitlines()


def test_what_others_own(stage: Stage) -> None:
    """A field that somebody else manages is not taken from them; they are named."""
    stage.deliver(stage.release("v1"))
    patch = json.dumps({"spec": {"ports": [{"port": 80, "targetPort": 9}]}})
    others = ("patch", "service", "web", "--field-manager=ada", "--type=merge", "-p", patch)
    stage.lab.run("-n", stage.namespace, *others)
    with pytest.raises(Conflict, match='conflict with "ada"'):
        stage.put(stage.release("v2"))


def test_the_preview(stage: Stage) -> None:
    """Before anything is done the cluster's own dry run says what a release would create and change."""
    first, second = stage.release("v1"), stage.release("v2")
    assert "create Deployment web" in stage.run(stage.platform.preview(first))
    stage.deliver(first)
    assert stage.run(stage.platform.preview(second)) == (
        "change ConfigMap settings: data",
        "change Deployment web: spec",
    )
