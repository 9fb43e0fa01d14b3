"""Whether the cluster of the tests does what a cluster is for, watched from outside."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.lab.cluster.facts import Cluster, Gateway
from tests.lab.cluster_objects import autoscaler, claim, ingress, pod, route, server, together
from tests.lab.engine import run

pytest_plugins = ["tests.lab.pytest_cluster"]

_SECONDS = 120.0


def until(true: Callable[[], bool], seconds: float = _SECONDS) -> None:
    """Look again and again until it is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def apply(cluster: Cluster, namespace: str, objects: str) -> None:
    cluster.run("-n", namespace, "apply", "-f", "-", given=objects)


def output(cluster: Cluster, namespace: str, name: str) -> str:
    """What a pod said, once it has come to a good end."""
    phase = ("-n", namespace, "get", "pod", name, "-o", "jsonpath={.status.phase}")
    until(lambda: cluster.run(*phase) in ("Succeeded", "Failed"))
    said = cluster.run("-n", namespace, "logs", name).strip()
    assert cluster.run(*phase) == "Succeeded", said
    return said


def serve(cluster: Cluster, namespace: str, *names: str) -> None:
    objects = [made for name in names for made in server(name, cluster.images.python)]
    apply(cluster, namespace, together(*objects))
    for name in names:
        cluster.run("-n", namespace, "rollout", "status", f"deployment/{name}", f"--timeout={_SECONDS:.0f}s")


def answers(gateway: Gateway, host: str, count: int) -> Counter[str]:
    """Who answered, over one connection; an error's status counts as an answer."""
    connection = http.client.HTTPConnection(gateway.address, timeout=5.0)
    found: Counter[str] = Counter()
    for _ in range(count):
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        text = answer.read().decode()
        found[text if answer.status == 200 else str(answer.status)] += 1
    connection.close()
    return found


def test_the_node_is_ready(cluster: Cluster) -> None:
    """A cluster of the tests has a node that takes pods."""
    nodes = json.loads(cluster.run("get", "nodes", "-o", "json"))["items"]
    conditions = [{held["type"]: held["status"] for held in node["status"]["conditions"]} for node in nodes]
    assert any(held["Ready"] == "True" for held in conditions)


def test_a_pod_finds_a_service_by_its_name(cluster: Cluster, namespace: str) -> None:
    """A pod from an image of the registry runs, and reaches another through its service's DNS name."""
    serve(cluster, namespace, "stable")
    script = "import urllib.request as u; print(u.urlopen('http://stable', timeout=10).read().decode())"
    apply(cluster, namespace, json.dumps(pod("asking", cluster.images.python, ["python3", "-c", script])))
    assert output(cluster, namespace, "asking") == "stable"


def test_a_volume_keeps_what_is_written(cluster: Cluster, namespace: str) -> None:
    """A claim is bound to a volume that one pod writes and a later one reads."""
    mounted = {"volumes": [{"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}}]}
    container = {"volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}
    image = cluster.images.python
    writing = pod("writing", image, ["sh", "-c", "echo held >/kept/word"], container=container, **mounted)
    apply(cluster, namespace, together(claim("kept"), writing))
    output(cluster, namespace, "writing")
    apply(cluster, namespace, json.dumps(pod("reading", image, ["cat", "/kept/word"], container=container, **mounted)))
    assert output(cluster, namespace, "reading") == "held"


def test_an_autoscaler_reads_the_metrics(cluster: Cluster, namespace: str) -> None:
    """`kubectl top` knows the pods, and a HorizontalPodAutoscaler their load."""
    serve(cluster, namespace, "stable")
    apply(cluster, namespace, json.dumps(autoscaler("stable")))
    read = "jsonpath={.status.currentMetrics[0].resource.current.averageUtilization}"
    until(lambda: bool(cluster.run("-n", namespace, "get", "hpa", "stable", "-o", read)))
    assert "stable" in cluster.run("-n", namespace, "top", "pods", "--no-headers")


def test_a_route_splits_as_its_weights_say(cluster: Cluster, gateway: Gateway, namespace: str) -> None:
    """A tenth goes to the canary, and none at all within two seconds of weight 0, without an error."""
    serve(cluster, namespace, "stable", "canary")
    host, parent = f"{namespace}.test", {"name": gateway.name, "namespace": gateway.namespace}
    apply(cluster, namespace, json.dumps(route(host, parent, {"stable": 90, "canary": 10})))
    until(lambda: set(answers(gateway, host, 20)) == {"stable", "canary"})
    found = answers(gateway, host, 200)
    assert set(found) == {"stable", "canary"}
    assert 15 <= found["canary"] <= 25
    apply(cluster, namespace, json.dumps(route(host, parent, {"stable": 100, "canary": 0})))
    until(lambda: answers(gateway, host, 30) == {"stable": 30}, seconds=2.0)
    assert answers(gateway, host, 200) == {"stable": 200}


def test_an_ingress_obeys_the_canary_annotations(cluster: Cluster, gateway: Gateway, namespace: str) -> None:
    """The annotations of ingress-nginx give the canary its share, and take it back."""
    serve(cluster, namespace, "stable", "canary")
    host, known = f"{namespace}.test", "nginx.ingress.kubernetes.io"

    def weigh(weight: int) -> None:
        annotations = {f"{known}/canary": "true", f"{known}/canary-weight": str(weight)}
        both = [
            ingress("stable", host, gateway.ingress_class, {}),
            ingress("canary", host, gateway.ingress_class, annotations),
        ]
        apply(cluster, namespace, together(*both))

    weigh(20)
    until(lambda: set(answers(gateway, host, 20)) == {"stable", "canary"})
    found = answers(gateway, host, 200)
    assert set(found) == {"stable", "canary"}
    assert 25 <= found["canary"] <= 55
    weigh(0)
    until(lambda: answers(gateway, host, 100) == {"stable": 100}, seconds=5.0)


def test_the_router_counts_requests_per_service(cluster: Cluster, gateway: Gateway, namespace: str) -> None:
    """The router's own figures name the service that answered."""
    if not gateway.metrics:
        pytest.skip("TOWPATH_TEST_ROUTER_METRICS does not name the router's metrics")
    serve(cluster, namespace, "stable")
    host, parent = f"{namespace}.test", {"name": gateway.name, "namespace": gateway.namespace}
    apply(cluster, namespace, json.dumps(route(host, parent, {"stable": 1})))
    until(lambda: answers(gateway, host, 1) == {"stable": 1})
    until(lambda: f"{namespace}-stable" in httpx.get(gateway.metrics).text, seconds=10.0)


def test_one_build_serves_both_architectures(
    cluster: Cluster, registry_address: str, namespace: str, tmp_path: Path
) -> None:
    """buildx pushes one image for amd64 and arm64, and the arm64 one runs on the cluster and says what it is."""
    if not cluster.builder:
        pytest.skip("a builder for two architectures is only known of the lab")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {cluster.images.python}\n"
        # Nobody has built this before.
        f"RUN echo {namespace} >/name\n"
        "RUN python3 -c 'import platform; print(platform.machine())' >/machine\n"
        'CMD ["cat", "/machine"]\n'
    )
    repository, told = "towpath-test/machine", tmp_path / "metadata.json"
    image = f"{registry_address}/{repository}"
    cache = f"type=registry,ref={image}:cache"
    run(
        "docker",
        *("buildx", "build", "--platform=linux/amd64,linux/arm64", "--push", f"--tag={image}:{namespace}"),
        *(f"--cache-to={cache},mode=max", f"--cache-from={cache}", "--provenance=mode=max", "--sbom=false"),
        f"--metadata-file={told}",
        tmp_path,
        environment=cluster.builder,
    )
    index = read_index(registry_address, repository, json.loads(told.read_text())["containerimage.digest"])
    built = {held["platform"]["architecture"]: held["digest"] for held in index["manifests"]}
    assert {"amd64", "arm64"} <= set(built)
    pods = [pod(name, f"{image}@{built[name]}", ["cat", "/machine"]) for name in ("amd64", "arm64")]
    apply(cluster, namespace, together(*pods))
    assert output(cluster, namespace, "amd64") == "x86_64"
    assert output(cluster, namespace, "arm64") == "aarch64"


def read_index(registry: str, repository: str, digest: str) -> Any:
    kind = "application/vnd.oci.image.index.v1+json"
    found = httpx.get(f"http://{registry}/v2/{repository}/manifests/{digest}", headers={"Accept": kind})
    return found.raise_for_status().json()


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_a_base_image_answers_on_both_architectures(
    cluster: Cluster, registry_address: str, namespace: str, architecture: str
) -> None:
    """Node's base image is one name for both, and each of them runs."""
    repository, tag = cluster.images.node.removeprefix(f"{registry_address}/").split(":")
    index = read_index(registry_address, repository, tag)
    (digest,) = (held["digest"] for held in index["manifests"] if held["platform"]["architecture"] == architecture)
    command = ["node", "-p", "process.arch + ' ' + process.versions.node.split('.')[0]"]
    apply(cluster, namespace, json.dumps(pod("asking", f"{registry_address}/{repository}@{digest}", command)))
    assert output(cluster, namespace, "asking") == {"amd64": "x64 22", "arm64": "arm64 22"}[architecture]


def test_the_database_and_the_cache_serve(cluster: Cluster, namespace: str) -> None:
    """PostgreSQL makes the database it is told to, Redis takes commands, both as plain users on read-only roots."""
    plain = {
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 999,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    database = {
        "name": "database",
        "image": cluster.images.postgres,
        "securityContext": plain,
        "env": [
            {"name": name, "value": value}
            for name, value in (
                ("POSTGRES_USER", "shop"),
                ("POSTGRES_PASSWORD", "secret"),
                ("POSTGRES_DB", "shop"),
                ("PGDATA", "/var/lib/postgresql/data/pgdata"),
            )
        ],
        "volumeMounts": [
            {"name": name, "mountPath": path}
            for name, path in (("data", "/var/lib/postgresql/data"), ("run", "/var/run/postgresql"), ("tmp", "/tmp"))
        ],
        "readinessProbe": {"exec": {"command": ["pg_isready", "-q", "-h", "127.0.0.1"]}, "periodSeconds": 1},
    }
    cache = {
        "name": "cache",
        "image": cluster.images.redis,
        "securityContext": plain,
        "volumeMounts": [{"name": "cache", "mountPath": "/data"}],
        "readinessProbe": {"exec": {"command": ["redis-cli", "ping"]}, "periodSeconds": 1},
    }
    volumes: list[dict[str, Any]] = [{"name": name, "emptyDir": {}} for name in ("data", "run", "tmp", "cache")]
    both = pod("stores", "", [], volumes=volumes, containers=[database, cache], securityContext={"fsGroup": 999})
    apply(cluster, namespace, json.dumps(both))
    cluster.run("-n", namespace, "wait", "--for=condition=Ready", "pod/stores", f"--timeout={_SECONDS:.0f}s")
    within = ("-n", namespace, "exec", "stores", "-c")
    asked = ("env", "PGPASSWORD=secret", "psql", "-h", "127.0.0.1", "-U", "shop", "-Atc", "select current_database()")
    assert cluster.run(*within, "database", "--", *asked).strip() == "shop"
    assert cluster.run(*within, "cache", "--", "redis-cli", "set", "word", "held").strip() == "OK"
    assert cluster.run(*within, "cache", "--", "redis-cli", "get", "word").strip() == "held"
