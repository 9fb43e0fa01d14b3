"""A git repository that pods reach: a server of git's own in the namespace, filled from a folder of this machine."""

import base64
from pathlib import Path

from tests.e2e.repositories import git
from tests.lab.cluster_objects import together
from tests.lab.towpath_on_cluster import OnCluster

_SERVE = ("git", "daemon", "--reuseaddr", "--export-all", "--informative-errors", "--base-path=/srv", "/srv")
_TAKE = "rm -rf /srv/{name}.git && base64 -d >/srv/bundle && git clone --quiet --mirror /srv/bundle /srv/{name}.git"


def serve_repository(made: OnCluster, repository: Path, name: str) -> str:
    """Its address inside the namespace; what it has now is what is served, again at every call."""
    _start(made)
    bundle = repository.parent / f"{name}.bundle"
    git(repository, "bundle", "create", "--quiet", str(bundle), "--all")
    content = base64.b64encode(bundle.read_bytes()).decode()
    made.kubectl("exec", "-i", "deployment/git", "--", "sh", "-ec", _TAKE.format(name=name), given=content)
    bundle.unlink()
    return f"git://git/{name}.git"


def _start(made: OnCluster) -> None:
    labels = {"app": "git"}
    container = {
        "name": "git",
        "image": made.image,
        "command": list(_SERVE),
        "ports": [{"containerPort": 9418}],
        "readinessProbe": {"tcpSocket": {"port": 9418}, "periodSeconds": 1},
        "volumeMounts": [{"name": "srv", "mountPath": "/srv"}, {"name": "tmp", "mountPath": "/tmp"}],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    volumes: list[dict[str, object]] = [{"name": name, "emptyDir": {}} for name in ("srv", "tmp")]
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}}
    ingress = [{"ports": [{"port": 9418}]}]
    selected: dict[str, object] = {"podSelector": {"matchLabels": labels}}
    objects = together(
        _object("apps/v1", "Deployment", selector={"matchLabels": labels}, template=template),
        _object("v1", "Service", selector=labels, ports=[{"port": 9418}]),
        _object("networking.k8s.io/v1", "NetworkPolicy", **selected, policyTypes=["Ingress"], ingress=ingress),
    )
    made.kubectl("apply", "-f", "-", given=objects)
    made.kubectl("rollout", "status", "deployment/git", "--timeout=120s")


def _object(version: str, kind: str, **spec: object) -> dict[str, object]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "git"}, "spec": spec}
