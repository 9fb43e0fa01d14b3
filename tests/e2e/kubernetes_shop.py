"""The shop on a cluster: its own manifests, and over them what only the lab has (registry, gateway, base images)."""

import json
from pathlib import Path

import yaml

from tests.e2e.repositories import git, make_shop
from tests.lab.cluster.facts import Cluster, Gateway
from tests.lab.cluster.programs import architecture
from tests.lab.engine import AUTHORITIES

_WAY = """
[delivery]
platform = "kubernetes"
gates = []

[delivery.registry]
prefix = "{registry}/{name}"
builder = "{builder}"
# This machine's kind alone: another is built, pushed and run in tests/adapters/test_pushed_images.py, in less time.
platforms = ["linux/{machine}"]
has_bill = false

[delivery.components.backend]
image = "backend"
routes = ["/api/", "/healthz", "/readyz"]
ready_path = "/readyz"
live_path = "/healthz"
start_seconds = 20
metrics = {{ requests = "shop_requests_total", errors = "shop_request_errors_total", seconds = "shop_request_seconds" }}

[delivery.components.frontend]
image = "frontend"

[delivery.database]
component = "backend"
url = "DATABASE_URL"
migrate = ["shop", "migrate"]
revision = ["shop", "revision"]
downgrade = ["shop", "downgrade", "--to"]
migrations = "compatible"
backup_job = "backup"
restore_job = "restore"
scratch_job = "scratch"

[delivery.database.scratch]
DATABASE_URL = "postgresql://shop:$(DATABASE_PASSWORD)@postgres/{{scratch}}"
REDIS_URL = "redis://redis/1"

[delivery.tests]
directory = "backend"
# Metrics are for the inside of a cluster: no route leads to them.
command = ["pytest", "-q", "tests/smoke", "-k", "not counts"]
environment = {{ SHOP_URL = "{{url}}" }}

[delivery.environments.staging]
replicas = {{ backend = 2, frontend = 1 }}

[delivery.environments.staging.cluster]
context = "{context}"
namespace = "{name}-staging"
overlay = "k8s/lab-staging"
url = "{staging}"

[delivery.environments.production]
replicas = {{ backend = 3, frontend = 2 }}

[delivery.environments.production.cluster]
context = "{context}"
namespace = "{name}-production"
overlay = "k8s/lab-production"
url = "{production}"

[delivery.approvals]
needed = 0

[delivery.verification]
settle_seconds = 5

[delivery.canary]
steps = [50]
scrape_seconds = 1
window_seconds = 60
step_seconds = 1
max_window_seconds = 120
replicas = {{ backend = 1, frontend = 1 }}

[delivery.canary.judge]
min_bake_seconds = 5
min_requests = 50
promote_error_absolute = 0.08
error_weight = 1
latency_weight = 0
warmup_error_seconds = 0
"""


def host_of(name: str, environment: str) -> str:
    return f"{environment}.{name}.test"


def make_cluster_shop(
    folder: Path, name: str, cluster: Cluster, gateway: Gateway, *, urls: dict[str, str], registry: str
) -> Path:
    """A repository of the shop whose two environments are in this cluster; its version tag is v1.0.0."""
    shop = make_shop(folder)
    for environment in ("staging", "production"):
        overlay = shop / "k8s" / f"lab-{environment}"
        overlay.mkdir()
        wanted = _overlay(environment, name, cluster, gateway)
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
    before = (shop / "towpath.toml").read_text().partition("[delivery.")[0]
    way = _WAY.format(
        registry=registry,
        name=name,
        builder=cluster.builder.get("BUILDX_BUILDER", ""),
        machine=architecture(),
        context=cluster.context,
        **urls,
    )
    (shop / "towpath.toml").write_text(_with_bases(before, cluster) + way)
    git(shop, "add", ".")
    git(shop, "commit", "--quiet", "--message=Deliver to the lab")
    git(shop, "tag", "v1.0.0")
    return shop


def _with_bases(text: str, cluster: Cluster) -> str:
    """The images' bases and what a build on the lab's builder needs."""
    ca = f'secrets = ["id=ca,src={AUTHORITIES}"]\nnetwork = "host"\n' if AUTHORITIES.exists() else ""
    backend = f'build_arguments = {{ BASE_IMAGE = "{cluster.images.python}" }}\n{ca}'
    both = f'NODE_IMAGE = "{cluster.images.node}", SERVE_IMAGE = "{cluster.images.node}"'
    frontend = f"build_arguments = {{ {both} }}\n{ca}"
    text = text.replace("[images.backend]\n", f"[images.backend]\n{backend}")
    return text.replace("[images.frontend]\n", f"[images.frontend]\n{frontend}")


def _overlay(environment: str, name: str, cluster: Cluster, gateway: Gateway) -> dict[str, object]:
    parent = [{"name": gateway.name, "namespace": gateway.namespace}]
    changes = [
        {"op": "replace", "path": "/spec/parentRefs", "value": parent},
        {"op": "replace", "path": "/spec/hostnames", "value": [host_of(name, environment)]},
    ]
    least = {"staging": {"backend": 2, "frontend": 1}, "production": {"backend": 3, "frontend": 2}}[environment]
    scalers = [
        {
            "target": {"kind": "HorizontalPodAutoscaler", "name": component},
            "patch": json.dumps([{"op": "replace", "path": "/spec/minReplicas", "value": number}]),
        }
        for component, number in least.items()
    ]
    images = {"postgres": cluster.images.postgres, "redis": cluster.images.redis}
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": f"{name}-{environment}",
        "resources": [f"../overlays/{environment}"],
        "images": [
            {"name": image, "newName": place.rpartition(":")[0], "newTag": place.rpartition(":")[2]}
            for image, place in images.items()
        ],
        "patches": [{"target": {"kind": "HTTPRoute", "name": "shop"}, "patch": json.dumps(changes)}, *scalers],
    }
