"""Two releases in one namespace: names, selectors, weights, order and what goes; by tables and laws."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.cluster.beside import ROLE
from tasks.core.cluster.documents import Identity, ManifestsRefused, identity_of
from tasks.core.cluster.state import Placed, Surroundings, kept_in, objects_of, to_delete
from tasks.core.cluster.traffic import TOTAL, must_split, parts_per_thousand, share_in
from tests.core.cluster_manifests import NAMESPACE, deployment, ingress, job, placed, route, scaler, service


def where(stable: Placed | None, candidate: Placed | None, percent: float = 0.0) -> Surroundings:
    return Surroundings("shop", "staging", NAMESPACE, stable, candidate, percent)


def made(there: Surroundings) -> dict[str, dict[str, Any]]:
    return {f"{each['kind']}/{each['metadata']['name']}": dict(each) for each in objects_of(there)}


def refs(found: dict[str, Any]) -> list[tuple[str, int]]:
    return [(each["name"], each["weight"]) for each in found["spec"]["rules"][0]["backendRefs"]]


def test_a_candidate_beside_a_stable_release() -> None:
    """Each has its own Deployment and Service, and no selector of one fits a pod of the other."""
    found = made(where(placed(generation=1), placed(generation=2, version="v2", replicas=1), 10))

    assert set(found) == {
        *("Service/backend", "Service/backend-canary", "Deployment/backend", "Deployment/backend-canary"),
        "HTTPRoute/shop",
    }
    for kind, key in (("Deployment", "matchLabels"), ("Service", "")):
        for name, other in (("backend", "backend-canary"), ("backend-canary", "backend")):
            selector = found[f"{kind}/{name}"]["spec"]["selector"]
            selector = selector[key] if key else selector
            labels = found[f"Deployment/{other}"]["spec"]["template"]["metadata"]["labels"]
            assert not selector.items() <= labels.items()
    assert found["Deployment/backend-canary"]["spec"]["replicas"] == 1
    assert refs(found["HTTPRoute/shop"]) == [("backend", 900), ("backend-canary", 100)]


def test_a_candidates_service_opens_nothing() -> None:
    """What only one Service may have, and what opens it to the world, stays with the stable one."""
    opened = service(type="LoadBalancer", clusterIP="10.0.0.7", loadBalancerIP="192.0.2.1")
    found = made(where(None, placed(deployment(), opened, route())))

    canary = found["Service/backend-canary"]["spec"]
    assert (canary["type"], canary.keys() & {"clusterIP", "loadBalancerIP"}) == ("ClusterIP", set())
    assert "nodePort" not in canary["ports"][0]
    assert found["Service/backend"]["spec"]["clusterIP"] == "10.0.0.7"


def test_the_first_release() -> None:
    """With nothing stable the stable Service is there for the route, and all the share given goes to the candidate."""
    found = made(where(None, placed(), 100))
    assert "Deployment/backend" not in found
    assert refs(found["HTTPRoute/shop"]) == [("backend", 0), ("backend-canary", 1000)]


def test_no_share_leaves_no_trace() -> None:
    """At 0 % a route does not name the candidate at all, and an Ingress has no canary beside it."""
    found = made(where(placed(deployment(), service(), route(), ingress()), placed(generation=2), 0))
    assert refs(found["HTTPRoute/shop"]) == [("backend", TOTAL)]
    assert "Ingress/shop-canary" not in found


def test_the_nginx_router() -> None:
    """With a share an Ingress gets its canary, annotated with the weight and leading to the candidate's Service."""
    documents = (deployment(), service(), ingress())
    found = made(where(placed(*documents), placed(*documents, generation=2), 12.5))

    canary = found["Ingress/shop-canary"]
    assert canary["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"] == "125"
    assert canary["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] == "backend-canary"
    assert "annotations" not in found["Ingress/shop"]["metadata"]


def test_the_scaler_owns_the_number() -> None:
    """Where a scaler is, the stable Deployment says no number and the scaler's minimum is the release's."""
    found = made(
        where(placed(deployment(), service(), route(), scaler(), replicas=6), placed(generation=2, replicas=1))
    )
    assert "replicas" not in found["Deployment/backend"]["spec"]
    limits = found["HorizontalPodAutoscaler/backend"]["spec"]
    assert (limits["minReplicas"], limits["maxReplicas"]) == (6, 6)
    assert found["Deployment/backend-canary"]["spec"]["replicas"] == 1


def test_the_order_of_applying() -> None:
    """What others need comes first and what brings traffic last."""
    kinds = [each["kind"] for each in objects_of(where(placed(deployment(), service(), route(), job()), None))]
    assert kinds == ["CronJob", "Service", "Deployment", "HTTPRoute"]


def test_what_goes() -> None:
    """What is not wanted any more is deleted, routes before pods, and never what holds data."""
    before = objects_of(
        where(placed(deployment(), service(), ingress()), placed(deployment(), service(), ingress()), 50)
    )
    known = frozenset(identity_of(each, NAMESPACE) for each in before)
    volume = Identity("v1", "PersistentVolumeClaim", NAMESPACE, "data")
    gone = to_delete(known | {volume}, kept_in(where(placed(deployment(), service(), ingress()), None)))

    assert [str(each) for each in gone] == [
        "Ingress shop-canary",
        "Deployment backend-canary",
        "Service backend-canary",
    ]


def test_the_stable_release_keeps_what_it_leans_on() -> None:
    """What only the stable release brings stays while a candidate is beside it, and goes with it."""
    old, new = ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} for name in ("old", "new"))
    stable = placed(deployment(), service(), route(), old)
    candidate = placed(deployment(), service(), route(), new, generation=2)
    known = kept_in(where(stable, None)) | kept_in(where(stable, candidate))

    assert not to_delete(known, kept_in(where(stable, candidate, 50)))
    gone = {str(each) for each in to_delete(known, kept_in(where(candidate, None)))}
    assert "ConfigMap old" in gone
    assert "ConfigMap new" not in gone
    assert {str(each) for each in to_delete(known, kept_in(where(stable, None)))} >= {"ConfigMap new"}


def test_nothing_to_split() -> None:
    """Without a route to a component no share could be given, and that is said."""
    with pytest.raises(ManifestsRefused, match="no HTTPRoute and no Ingress"):
        must_split([route("other")], frozenset({"backend"}))
    must_split([ingress()], frozenset({"backend"}))


@given(st.floats(min_value=0, max_value=100))
def test_shares_are_kept(percent: float) -> None:
    """A route has the share it was given, to a tenth of a per cent; only nothing is nothing, only all is all."""
    found = made(where(placed(), placed(generation=2), percent))["HTTPRoute/shop"]
    share = share_in(found, frozenset({"backend"}))
    assert share is not None
    assert abs(share - percent) <= 0.1
    assert (share == 0) == (percent == 0)
    assert (share == 100) == (percent == 100)
    assert 0 <= parts_per_thousand(percent) <= TOTAL


@given(st.sampled_from([None, 1]), st.sampled_from([None, 2]), st.floats(min_value=0, max_value=100))
def test_a_state_is_whole(stable: int | None, candidate: int | None, percent: float) -> None:
    """Whatever is there, no route leads to a Service that the state does not make."""
    there = where(placed() if stable else None, placed(generation=2) if candidate else None, percent)
    found = made(there)
    for name, document in found.items():
        if name.startswith("HTTPRoute"):
            assert all(f"Service/{name}" in found for name, _ in refs(document))
    assert all(ROLE in each["spec"]["selector"] for name, each in found.items() if name.startswith("Service"))
