"""Towpath itself on the cluster of the tests: its image built, its manifests applied to a namespace, and taken away.

It promises what a user gets who follows docs/on-kubernetes.md: the manifests of the repository, and over them an
overlay with what only that cluster has (registry, base images, authorities).
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import yaml

from tests.lab.cluster.facts import Cluster
from tests.lab.engine import AUTHORITIES, run

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "deployments" / "kubernetes"
REPOSITORY = "towpath-test/towpath"
READY_SECONDS = 300.0
WAITED_FOR = (
    *("statefulset/postgres", "statefulset/redis", "deployment/prefect-server", "deployment/prefect-services"),
    *("deployment/webhook", "deployment/worker", "deployment/worker-untrusted", "deployment/gate"),
)
_T = TypeVar("_T")


def until(look: Callable[[], _T | None], *, seconds: float, what: str) -> _T:
    """What a look gives, once it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.5)
    return found


@dataclass(frozen=True)
class Wanted:
    """What differs from one installation to the next; `pool` are defaults of the team's pool by variable.

    With `has_guard` the namespace itself is guarded, as an environment's would be.
    """

    door: str = ""
    runs_at_once: int = 2
    has_guard: bool = False
    pool: Mapping[str, Any] = field(default_factory=lambda: {"cpu_request": "100m", "memory_request": "256Mi"})


@dataclass(frozen=True)
class OnCluster:
    """Towpath in a namespace: how to speak to it."""

    cluster: Cluster
    namespace: str
    image: str
    api_auth: str
    webhook_secret: str

    def kubectl(self, *words: str, given: str | None = None, seconds: float = 120.0) -> str:
        return self.cluster.run("-n", self.namespace, *words, given=given, seconds=seconds)

    def listed(self, kind: str, *words: str) -> list[dict[str, Any]]:
        return list(json.loads(self.kubectl("get", kind, *words, "-o", "json"))["items"])

    @contextmanager
    def forwarded(self, service: str, port: int) -> Iterator[str]:
        """The address on this machine that leads to a service."""
        argv = [
            str(self.cluster.kubectl),
            f"--kubeconfig={self.cluster.kubeconfig}",
            f"--context={self.cluster.context}",
        ]
        argv += ["-n", self.namespace, "port-forward", f"service/{service}", f":{port}"]
        environment = {**os.environ, **self.cluster.environment}
        with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as forwarding:
            try:
                assert forwarding.stdout
                found = re.search(rb":(\d+) ->", forwarding.stdout.readline())
                assert found, f"nothing leads to {service}"
                yield f"http://127.0.0.1:{int(found[1])}"
            finally:
                forwarding.terminate()

    @contextmanager
    def api(self) -> Iterator[httpx.Client]:
        """A client of the Prefect API."""
        user, _, password = self.api_auth.partition(":")
        with (
            self.forwarded("prefect-server", 4200) as url,
            httpx.Client(base_url=f"{url}/api", auth=(user, password), timeout=60.0, trust_env=False) as client,
        ):
            yield client

    def profile(self, url: str, pool: str) -> dict[str, str]:
        """What a Prefect profile of this server says, as variables."""
        return {
            "PREFECT_API_URL": f"{url}/api",
            "PREFECT_API_AUTH_STRING": self.api_auth,
            "PREFECT_DEFAULT_WORK_POOL_NAME": pool,
        }


def build_image(cluster: Cluster, registry: str, folder: Path) -> str:
    """Towpath's image of this working tree, by its digest."""
    if not cluster.builder:
        pytest.skip("where Towpath's image is built for this cluster is not known")
    told = folder / "image.json"
    run(
        *("docker", "buildx", "build", "--provenance=false", "--push", f"--tag={registry}/{REPOSITORY}:test"),
        *(f"--build-arg=BASE_IMAGE={cluster.images.python}", f"--build-arg=NODE_IMAGE={cluster.images.node}"),
        *(word for secret in cluster.secrets for word in ("--secret", secret)),
        *("--network=host", "--allow=network.host", f"--metadata-file={told}"),
        *("--file", ROOT / "deployments/images/Dockerfile", ROOT),
        environment=cluster.builder,
    )
    return f"{registry}/{REPOSITORY}@{json.loads(told.read_text())['containerimage.digest']}"


@contextmanager
def installed(cluster: Cluster, namespace: str, image: str, folder: Path, wanted: Wanted) -> Iterator[OnCluster]:
    """Towpath in this namespace, ready and with its deployments registered."""
    made = OnCluster(cluster, namespace, image, f"towpath:{secrets.token_hex(12)}", secrets.token_hex(16))
    _make_secrets(made)
    if wanted.has_guard:
        _give_guard_its_rights(made)
    made.kubectl("apply", "--server-side", "-k", str(write_overlay(folder, made, wanted)))
    for name in WAITED_FOR:
        made.kubectl("rollout", "status", name, f"--timeout={READY_SECONDS:g}s", seconds=READY_SECONDS + 30)
    made.kubectl("wait", "--for=condition=Complete", "job/register", "--timeout=300s", seconds=330)
    yield made


def _make_secrets(made: OnCluster) -> None:
    values = {
        "towpath": {
            "database-password": secrets.token_hex(12),
            "redis-password": secrets.token_hex(12),
            "api-auth": made.api_auth,
        },
        "towpath-webhook": {"TOWPATH_WEBHOOK_SECRETS": made.webhook_secret},
    }
    for name, held in values.items():
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": held}
        made.kubectl("apply", "-f", "-", given=json.dumps(secret))


def _give_guard_its_rights(made: OnCluster) -> None:
    """The Role that `towpath guard` says it needs, bound to its account."""
    words = ("guard", "--context", made.cluster.context, "--namespace", made.namespace, "--role", "towpath-guard")
    roles = run(sys.executable, "-m", "deployments.cli", *words, environment=made.cluster.environment)
    made.kubectl("apply", "-f", "-", given=roles)
    account = f"--serviceaccount={made.namespace}:guard"
    made.kubectl("create", "rolebinding", "towpath-guard", "--role=towpath-guard", account)


def write_overlay(folder: Path, made: OnCluster, wanted: Wanted) -> Path:
    """An overlay as a user has one, beside a copy of the manifests."""
    shutil.copytree(MANIFESTS, folder / "kubernetes")
    overlay = folder / "kubernetes" / "overlays" / "mine"
    overlay.mkdir()
    (overlay / "door.toml").write_text(wanted.door or "[repositories]\n")
    (overlay / "towpath.yaml").write_text(yaml.safe_dump(_pool(wanted)))
    maps: list[dict[str, Any]] = [
        {"name": "towpath-door", "behavior": "merge", "files": ["door.toml"]},
        {"name": "towpath-pools", "behavior": "merge", "files": ["towpath.yaml"]},
    ]
    if made.cluster.secrets and AUTHORITIES.exists():
        shutil.copy(AUTHORITIES, overlay / "ca.crt")
        # Named in the pools, where kustomize does not look.
        plain = {"options": {"disableNameSuffixHash": True}}
        maps.append({"name": "towpath-authorities", "files": ["ca.crt"], **plain})
        names = ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE")
        literals = [f"{name}=/etc/towpath/authorities/ca.crt" for name in names]
        maps.append({"name": "towpath-network", "literals": literals, **plain})
    images = {"towpath": made.image, "postgres": made.cluster.images.postgres, "redis": made.cluster.images.redis}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": made.namespace,
        "resources": ["../one-node"],
        "components": ["../../components/guard"] if wanted.has_guard else [],
        "patches": [_guarding(made.namespace)] if wanted.has_guard else [],
        "images": [_pinned(name, image) for name, image in images.items()],
        "configMapGenerator": maps,
    }
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return overlay


def _guarding(namespace: str) -> dict[str, Any]:
    place = "/spec/template/spec/containers/0/args"
    change = [{"op": "replace", "path": place, "value": ["--namespace", namespace]}]
    return {"target": {"kind": "Deployment", "name": "guard"}, "patch": json.dumps(change)}


def _pinned(name: str, image: str) -> dict[str, str]:
    repository, at, digest = image.partition("@")
    if at:
        return {"name": name, "newName": repository, "digest": digest}
    repository, _, tag = image.rpartition(":")
    return {"name": name, "newName": repository, "newTag": tag}


def _pool(wanted: Wanted) -> dict[str, Any]:
    pool: dict[str, Any] = yaml.safe_load((MANIFESTS / "base/pools/towpath.yaml").read_text())
    pool["concurrency_limit"] = wanted.runs_at_once
    for name, value in wanted.pool.items():
        pool["base_job_template"]["variables"]["properties"][name]["default"] = value
    return pool
