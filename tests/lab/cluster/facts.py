"""What a test may know of the cluster it runs against, whoever's it is.

It promises that a user's own cluster is taken first (TOWPATH_TEST_KUBECONFIG, else KUBECONFIG) and that only what the
user names there is used: the context, and, where they are given, a registry and a gateway.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cluster.builder import build_environment
from tests.lab.cluster.places import CONTEXT, NODE_ADDRESS, WEB_PORT, Places
from tests.lab.cluster.router import METRICS
from tests.lab.engine import AUTHORITIES, LabMissingError

_GATEWAY = re.compile(r"(?P<namespace>[^/]+)/(?P<name>[^@]+)@(?P<address>\S+)")


@dataclass(frozen=True)
class Gateway:
    """A gateway that routes hang on: its requests go to `address` (host:port), told apart by their Host header."""

    address: str
    name: str
    namespace: str
    class_name: str
    ingress_class: str
    metrics: str


@dataclass(frozen=True)
class BaseImages:
    python: str
    node: str
    postgres: str
    redis: str


@dataclass(frozen=True)
class Cluster:
    """How to reach a cluster, and what there is beside it."""

    kubeconfig: Path
    context: str
    kubectl: Path
    registry: str | None
    gateway: Gateway | None
    images: BaseImages
    # What makes `docker buildx build` build for two architectures and reach that registry; empty where it is not known.
    builder: Mapping[str, str]
    # Of builds: the machine's authorities, where downloads go through a proxy of its own.
    secrets: tuple[str, ...] = ()
    # kubectl keeps what a server can do in ~/.kube, which is the user's.
    kubectl_cache: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What makes kubectl, buildx and every client library find this cluster, and no other, by default."""
        path = f"{self.kubectl.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        cache = {"KUBECACHEDIR": str(self.kubectl_cache)} if self.kubectl_cache else {}
        return {"KUBECONFIG": str(self.kubeconfig), "PATH": path, **cache, **self.builder}

    def run(self, *arguments: str, given: str | None = None, seconds: float = 120.0) -> str:
        """kubectl against this cluster; its words when it fails."""
        argv = [str(self.kubectl), f"--kubeconfig={self.kubeconfig}", f"--context={self.context}", *arguments]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(argv, env=environment, input=given, capture_output=True, text=True, timeout=seconds)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr.strip()}"
        return done.stdout


def of_lab(places: Places) -> Cluster:
    return Cluster(
        kubeconfig=places.kubeconfig,
        context=CONTEXT,
        kubectl=places.kubectl,
        registry=places.registry,
        gateway=Gateway(f"{NODE_ADDRESS}:{WEB_PORT}", "lab", "towpath-gateway", "traefik", "nginx", METRICS),
        images=BaseImages(*(places.image(f"{name}:bookworm") for name in ("python", "node", "postgres", "redis"))),
        builder=build_environment(places),
        secrets=(f"id=ca,src={AUTHORITIES}",) if AUTHORITIES.exists() else (),
        kubectl_cache=places.home / "kubectl-cache",
    )


def of_user(places: Places, environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster that the user names, if it is not the lab's."""
    named = environment.get("TOWPATH_TEST_KUBECONFIG") or environment.get("KUBECONFIG")
    if not named or Path(named) == places.kubeconfig:
        return None
    kubectl = shutil.which("kubectl")
    if not kubectl or not Path(named).exists():
        raise LabMissingError(f"KUBECONFIG is {named}, but {'that is no file' if kubectl else 'kubectl is missing'}")
    return Cluster(
        kubeconfig=Path(named),
        context=environment.get("TOWPATH_TEST_CONTEXT") or current_context(kubectl, named),
        kubectl=Path(kubectl),
        registry=environment.get("TOWPATH_TEST_REGISTRY"),
        gateway=gateway_of_user(environment),
        images=BaseImages("python:3.12-slim", "node:22-slim", "postgres:15", "redis:7"),
        builder={},
    )


def current_context(kubectl: str, kubeconfig: str) -> str:
    argv = [kubectl, f"--kubeconfig={kubeconfig}", "config", "current-context"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise LabMissingError(f"KUBECONFIG is {kubeconfig}, but it has no current context")
    return done.stdout.strip()


def gateway_of_user(environment: Mapping[str, str]) -> Gateway | None:
    """From TOWPATH_TEST_GATEWAY=namespace/name@host:port."""
    if not (found := _GATEWAY.fullmatch(environment.get("TOWPATH_TEST_GATEWAY", ""))):
        return None
    return Gateway(
        found["address"],
        found["name"],
        found["namespace"],
        environment.get("TOWPATH_TEST_GATEWAY_CLASS", ""),
        environment.get("TOWPATH_TEST_INGRESS_CLASS", "nginx"),
        environment.get("TOWPATH_TEST_ROUTER_METRICS", ""),
    )
