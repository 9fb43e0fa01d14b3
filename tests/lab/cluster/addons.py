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
    Program,
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
    push_built(places, PAUSE, "pause:1")
    for program in (COREDNS, STORAGE, METRICS_SERVER):
        push_built(places, program, image_name(program))


def push_built(places: Places, program: Program, name: str) -> None:
    if not has_image(places, name):
        push_program(places, name, built(places, program), program.name, architecture())


def image_name(program: Program) -> str:
    return f"{program.name}:{program.key}"


def apply(places: Places) -> None:
    kinds = module_folder(GATEWAY_API) / "config" / "crd" / "standard"
    kubectl(places, "apply", "--server-side", "--force-conflicts", "-f", str(kinds))
    values = {
        "coredns": places.image(image_name(COREDNS)),
        "storage": places.image(image_name(STORAGE)),
        "metrics": places.image(image_name(METRICS_SERVER)),
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
