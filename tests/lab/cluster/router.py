"""The router: Traefik on this machine, which obeys the Gateway API and ingress-nginx's annotations alike.

It listens on the node's address, so tests and pods reach it at the same place. What it may read and write in the
cluster is what manifests/gateway.yaml says, no more.
"""

import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.lab.cluster.daemons import ensure
from tests.lab.cluster.places import NODE_ADDRESS, ROUTER_METRICS_PORT, WEB_PORT, Places

METRICS = f"http://{NODE_ADDRESS}:{ROUTER_METRICS_PORT}/metrics"


def start(places: Places) -> None:
    arguments = [
        f"--entrypoints.web.address={NODE_ADDRESS}:{WEB_PORT}",
        f"--entrypoints.metrics.address={NODE_ADDRESS}:{ROUTER_METRICS_PORT}",
        "--metrics.prometheus=true",
        "--metrics.prometheus.entrypoint=metrics",
        "--metrics.prometheus.addrouterslabels=true",
        "--metrics.prometheus.buckets=0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5",
        "--ping=true",
        "--ping.entrypoint=metrics",
        "--providers.kubernetesgateway=true",
        f"--providers.kubernetesgateway.statusaddress.ip={NODE_ADDRESS}",
        "--providers.kubernetesingressnginx=true",
        "--providers.kubernetesingressnginx.httpentrypoint=web",
        f"--providers.kubernetesingressnginx.publishstatusaddress={NODE_ADDRESS}",
        # Two seconds by default: longer than the whole of an abort may take.
        "--providers.providersthrottleduration=50ms",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        "--log.level=INFO",
    ]
    environment = {"KUBECONFIG": str(places.certificates / "router.kubeconfig")}
    ensure(places, "router", [traefik(), *arguments], answers, environment)


def traefik() -> Path:
    """Towpath's own dependency brings it, beside the interpreter."""
    return Path(sys.executable).parent / "traefik"


def answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://{NODE_ADDRESS}:{ROUTER_METRICS_PORT}/ping", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False
