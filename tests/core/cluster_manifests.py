"""A small environment's manifests, as a kustomize overlay would render them."""

from typing import Any

from tasks.core.cluster.documents import Parts, parts_of
from tasks.core.cluster.state import Placed, pinned_parts
from tasks.core.delivery_settings import ComponentSettings
from tasks.core.release import Release
from tasks.core.wanted import Group

NAMESPACE = "shop-staging"
IMAGES = {"backend": "registry.example/shop-backend@sha256:" + "a" * 64}


def deployment(name: str = "backend", *, image: str = "shop-backend", replicas: int = 1) -> dict[str, Any]:
    pod = {"containers": [{"name": name, "image": image, "ports": [{"containerPort": 8000}], "env": []}]}
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": dict(labels)},
            "template": {"metadata": {"labels": dict(labels)}, "spec": pod},
        },
    }


def service(name: str = "backend", **more: Any) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8000, "nodePort": 30080}], **more}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def route(*names: str) -> dict[str, Any]:
    rules = [{"backendRefs": [{"name": name, "port": 80}]} for name in names or ("backend",)]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "shop"},
        "spec": {"parentRefs": [{"name": "gateway"}], "rules": rules},
    }


def ingress(name: str = "backend") -> dict[str, Any]:
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "shop"},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": "shop.example", "http": {"paths": [path]}}]},
    }


def scaler(name: str = "backend") -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 4},
    }


def job(image: str = "shop-backend") -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "backup", "image": image}], "restartPolicy": "Never"}}
    spec = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": template}}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "backup"}, "spec": spec}


def parts(*documents: dict[str, Any]) -> Parts:
    return parts_of(documents or (deployment(), service(), route()), ["backend"], NAMESPACE)


def component() -> ComponentSettings:
    return ComponentSettings(command=("serve",))


def release(version: str = "v1.0.0", replicas: int = 2) -> Release:
    return Release(version=version, revision="c" * 40, artifact="sha256:" + version, replicas={"backend": replicas})


def placed(*documents: dict[str, Any], generation: int = 1, version: str = "v1.0.0", replicas: int = 2) -> Placed:
    given = release(version, replicas)
    group = Group(generation=generation, release=given, components={"backend": component()}, replicas=given.replicas)
    return Placed(group, pinned_parts(parts(*documents), IMAGES))
