"""What makes a bare node a cluster: DNS, storage, metrics and the gateway's kinds, each a page of manifests.

It promises that they are applied as they stand here, again at every start, so that an older lab becomes a newer one.
Their images are made of programs built here and pushed to the lab's registry.
"""

from pathlib import Path
from string import Template

from tests.lab.cluster.image_store import has_image, push_program
from tests.lab.cluster.places import DNS_SERVICE, WEB_PORT, Places
from tests.lab.cluster.programs import (
    COREDNS,
    GATEWAY_API,
    METRICS_SERVER,
    PAUSE,
    STORAGE,
    architecture,
    built,
    kubectl,
    module_folder,
)

MANIFESTS = Path(__file__).parent / "manifests"
WAITED_FOR = (
    ("kube-system", "deployment/coredns"),
    ("local-path-storage", "deployment/provisioner"),
    ("kube-system", "deployment/metrics-server"),
)
READY_SECONDS = 120


def push_images(places: Places) -> None:
    for program in (PAUSE, COREDNS, STORAGE, METRICS_SERVER):
        if not has_image(places, program.image):
            push_program(places, program.image, built(places, program), program.name, architecture())


def apply(places: Places) -> None:
    kinds = module_folder(GATEWAY_API) / "config" / "crd" / "standard"
    kubectl(places, "apply", "--server-side", "--force-conflicts", "-f", str(kinds))
    values = {
        "coredns": places.image(COREDNS.image),
        "storage": places.image(STORAGE.image),
        "metrics": places.image(METRICS_SERVER.image),
        "python": places.image("python:bookworm"),
        "volumes": str(places.run / "volumes"),
        "dns_address": DNS_SERVICE,
        "web_port": str(WEB_PORT),
    }
    pages = [Template(page.read_text()).substitute(values) for page in sorted(MANIFESTS.glob("*.yaml"))]
    given = "\n---\n".join(pages)
    kubectl(places, "apply", "--server-side", "--force-conflicts", "-f", "-", given=given)


def wait(places: Places) -> None:
    kubectl(places, "wait", "--for=condition=Ready", "node", "--all", f"--timeout={READY_SECONDS}s")
    for namespace, name in WAITED_FOR:
        kubectl(places, "-n", namespace, "rollout", "status", name, f"--timeout={READY_SECONDS}s")
    available = "--for=condition=Available"
    kubectl(places, "wait", available, "apiservice/v1beta1.metrics.k8s.io", f"--timeout={READY_SECONDS}s")
    gateway = ("gateway/lab", "-n", "towpath-gateway")
    kubectl(places, "wait", "--for=condition=Programmed", *gateway, f"--timeout={READY_SECONDS}s")
