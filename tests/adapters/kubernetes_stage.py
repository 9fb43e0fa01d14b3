"""An environment in a real cluster, with releases of a small server that counts and can be told to fail."""

import asyncio
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from tasks.adapters.artifacts import artifact_folder
from tasks.adapters.grounds import Ground
from tasks.adapters.platforms.kubernetes.leasing import Watcher
from tasks.adapters.platforms.kubernetes.locking import ClusterLock
from tasks.adapters.platforms.kubernetes.platform import KubernetesPlatform
from tasks.adapters.platforms.kubernetes.requests import Cluster
from tasks.core.cluster.artifact import ClusterArtifact
from tasks.core.cluster.kept_names import KEEPS
from tasks.core.delivery_settings import ComponentSettings, MetricsSettings
from tasks.core.environments import digest
from tasks.core.platform import EnvironmentStatus, Permit, Role
from tasks.core.release import Release
from tasks.core.safekeeping import Claim
from tests.lab.cluster import facts

_T = TypeVar("_T")
_SERVER = """
import http.server, os
counts = {"requests": 0, "errors": 0}
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        status, body = 200, os.environ["ANSWER"]
        if self.path == "/metrics":
            lines = [f"# TYPE web_{name}_total counter\\nweb_{name}_total {count}\\n" for name, count in counts.items()]
            body = "".join(lines)
        elif self.path != "/ready":
            counts["requests"] += 1
            if os.environ.get("FAILS"):
                counts["errors"] += 1
                status = 500
        elif os.environ.get("NEVER_READY"):
            status = 503
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""
_SCALED = {
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
    "minReplicas": 1,
    "maxReplicas": 4,
    "metrics": [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "2"}}}
    ],
}
WEB = ComponentSettings(
    command=("serve",), ready_path="/ready", metrics=MetricsSettings(requests="web_requests", errors="web_errors")
)


class Stage:
    """One namespace of the cluster and one machine's home."""

    def __init__(self, home: Path, cluster: facts.Cluster, gateway: facts.Gateway, namespace: str) -> None:
        self.home, self.lab, self.gateway, self.namespace = home, cluster, gateway, namespace
        self.ground = Ground(home, "shop", "production")
        self.host = f"{namespace}.test"
        self.seen: Counter[str] = Counter()
        self.has_ingress = self.has_scaler = False
        self.permit = self.take()
        self.platform = self.another()

    def another(self, **changes: Any) -> KubernetesPlatform:
        """The same environment as another process would see it."""
        cluster = self.reached(**changes)
        lock = ClusterLock(cluster, self.ground, Watcher())
        return KubernetesPlatform(self.ground, cluster, lock, url=f"http://{self.host}")

    def reached(self, **changes: Any) -> Cluster:
        """The namespace by a connection of its own."""
        where = {"context": self.lab.context, "kubeconfig": str(self.lab.kubeconfig), **changes}
        return Cluster(namespace=self.namespace, **where)

    def take(self) -> Permit:
        lock = ClusterLock(self.reached(), self.ground, Watcher())
        if hasattr(self, "permit"):
            self.run(lock.release(self.permit))
        return self.run(lock.take(Claim(str(uuid4()), "test", "a test", "run", time.time())))

    def release(self, version: str, *, replicas: int = 1, image: str = "", **variables: str) -> Release:
        """Built, as far as a cluster needs it."""
        documents = self.documents(variables | {"ANSWER": version})
        built = ClusterArtifact(
            components={"web": WEB},
            images={"web": image or self.lab.images.python},
            manifests={"production": tuple(documents)},
        )
        artifact = f"sha256:{digest([version, variables, image, self.namespace])}"
        folder = artifact_folder(self.home, artifact)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "artifact.json").write_text(built.model_dump_json())
        return Release(version=version, revision="a" * 40, artifact=artifact, replicas={"web": replicas})

    def documents(self, variables: dict[str, str]) -> list[dict[str, Any]]:
        labels, env = {"app": "web"}, [{"name": name, "value": value} for name, value in variables.items()]
        probe = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}
        container = {
            "name": "web",
            "image": "web",
            "command": ["python3", "-c", _SERVER],
            "ports": [{"containerPort": 8080}],
            "env": env,
            "readinessProbe": probe,
            "resources": {"requests": {"cpu": "5m"}},
        }
        # A pod goes on answering while the gateway takes it off its list.
        leaving = {"preStop": {"exec": {"command": ["sleep", "2"]}}}
        spec = {"terminationGracePeriodSeconds": 3, "containers": [container | {"lifecycle": leaving}]}
        template = {"metadata": {"labels": labels}, "spec": spec}
        traffic = self._ingress() if self.has_ingress else self._route()
        scalers = [_object("autoscaling/v2", "HorizontalPodAutoscaler", "web", spec=_SCALED)] if self.has_scaler else []
        return [
            _object("v1", "ConfigMap", "settings", data={"of": variables["ANSWER"]}),
            _object(
                "apps/v1", "Deployment", "web", spec={"selector": {"matchLabels": dict(labels)}, "template": template}
            ),
            _object("v1", "Service", "web", spec={"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}),
            traffic,
            *scalers,
        ]

    def _route(self) -> dict[str, Any]:
        parent = {"name": self.gateway.name, "namespace": self.gateway.namespace}
        rules = [{"backendRefs": [{"name": "web", "port": 80}]}]
        spec = {"parentRefs": [parent], "hostnames": [self.host], "rules": rules}
        return _object("gateway.networking.k8s.io/v1", "HTTPRoute", "web", spec=spec)

    def _ingress(self) -> dict[str, Any]:
        backend = {"service": {"name": "web", "port": {"number": 80}}}
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        rules = [{"host": self.host, "http": {"paths": [path]}}]
        spec = {"ingressClassName": self.gateway.ingress_class, "rules": rules}
        return _object("networking.k8s.io/v1", "Ingress", "web", spec=spec)

    def status(self) -> EnvironmentStatus:
        return self.run(self.platform.status("production"))

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run(work)

    def until(self, condition: Callable[[EnvironmentStatus], object], *, seconds: float = 60.0) -> EnvironmentStatus:
        deadline = time.monotonic() + seconds
        while not condition(status := self.status()):
            assert time.monotonic() < deadline, f"never so: {status}"
            time.sleep(0.1)
        return status

    def until_ready(self, role: Role, number: int = 1) -> EnvironmentStatus:
        return self.until(lambda status: not status.lacking(role, {"web": number}))

    def put(self, release: Release) -> None:
        self.run(self.platform.put(self.permit, release, dict(release.replicas)))

    def deliver(self, release: Release) -> None:
        """As a production release goes: beside, all of the traffic, stable."""
        self.put(release)
        self.until_ready(Role.CANDIDATE, release.replicas["web"])
        self.run(self.platform.set_weight(self.permit, 100.0))
        self.run(self.platform.promote(self.permit))

    def answers(self, count: int) -> Counter[str]:
        """Who answered; an error's status counts as an answer."""
        connection = http.client.HTTPConnection(self.gateway.address, timeout=5.0)
        found: Counter[str] = Counter()
        for _ in range(count):
            connection.request("GET", "/", headers={"Host": self.host})
            answer = connection.getresponse()
            text = answer.read().decode()
            found[text if answer.status == 200 else str(answer.status)] += 1
        connection.close()
        self.seen += found
        return found

    def until_seen(self, who: str, *, seconds: float = 5.0) -> None:
        """The gateway follows a moment after it has said so."""
        deadline = time.monotonic() + seconds
        while not self.answers(10)[who]:
            assert time.monotonic() < deadline, f"{who} never answered"

    def objects(self) -> dict[str, Any]:
        """What the namespace holds that was applied, without what a cluster writes into everything."""
        kinds = "deployments,services,configmaps,secrets,httproutes,ingresses,horizontalpodautoscalers"
        found = json.loads(self.lab.run("-n", self.namespace, "get", kinds, "-o", "json"))["items"]
        return {f"{each['kind']}/{each['metadata']['name']}": _own_part(each) for each in found if _is_ours(each)}


def _object(version: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}


def _is_ours(told: dict[str, Any]) -> bool:
    labels = told["metadata"].get("labels") or {}
    return "towpath.dev/target" in labels and KEEPS not in labels


def _own_part(told: dict[str, Any]) -> str:
    """What is ours of an object that was released."""
    kept = {key: value for key, value in told.items() if key not in ("status", "metadata")}
    return json.dumps([kept, told["metadata"].get("labels"), told["metadata"].get("name")], sort_keys=True)


class Load:
    """Requests all the time, and what came back: how often, and when last by a clock that nobody sets."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._over = stage, threading.Event()
        self.found: Counter[str] = Counter()
        self.last: dict[str, float] = {}
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._over.is_set():
            for who, count in self._stage.answers(5).items():
                self.found[who] += count
                self.last[who] = time.monotonic()

    @contextmanager
    def on(self) -> Iterator["Load"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._over.set()
            self._thread.join()
