"""One component twice in one namespace: the stable release, and a candidate beside it that gets no traffic by itself.

The stable release keeps the names of the manifests; the candidate's objects have `-canary` after theirs. A label on
every pod says which of the two it is, and every selector asks for it, so that no Service and no Deployment ever takes
in the other's pods. It must never be possible that a candidate's pod gets traffic which no weight gave it.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tasks.core.cluster.documents import Document, Part
from tasks.core.platform import Role
from tasks.core.release import Release
from tasks.core.wanted import Group

ROLE, COMPONENT, GENERATION, VERSION = (
    f"towpath.dev/{name}" for name in ("role", "component", "generation", "version")
)
OWNER, ENVIRONMENT = "towpath.dev/target", "towpath.dev/environment"
CANARY = "-canary"
_LABEL_LENGTH = 63


def name_in(name: str, role: Role) -> str:
    return name if role is Role.STABLE else f"{name}{CANARY}"


def deployment_of(part: Part, group: Group, role: Role) -> Document:
    """The component's Deployment in this role. Of a stable one that is scaled, the scaler owns the number."""
    made: dict[str, Any] = deepcopy(dict(part.deployment))
    made["metadata"]["name"] = name_in(part.name, role)
    spec = made["spec"]
    if role is Role.STABLE and part.scaler is not None:
        spec.pop("replicas", None)
    else:
        spec["replicas"] = group.replicas.get(part.name, 0)
    labels = {ROLE: role.value, COMPONENT: part.name}
    spec["selector"].setdefault("matchLabels", {}).update(labels)
    template = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    template.update(labels | {GENERATION: str(group.generation), VERSION: label(group.release.version)})
    _configure(spec["template"]["spec"], part.name, group)
    return made


def _configure(pod: dict[str, Any], component: str, group: Group) -> None:
    """The release's name and the variables of its configuration, over those of the manifest."""
    given = told_to(group.release, component)
    for container in pod["containers"]:
        if container.get("name") == component or len(pod["containers"]) == 1:
            kept = [each for each in container.get("env") or [] if each.get("name") not in given]
            container["env"] = [*kept, *({"name": name, "value": value} for name, value in sorted(given.items()))]


def told_to(release: Release, component: str) -> dict[str, str]:
    """The variables that a release gives its component, over those of the manifest."""
    return {"RELEASE": release.version, **release.configuration.get(component, {})}


def services_of(part: Part, role: Role) -> tuple[Document, ...]:
    return tuple(_service(service, role) for service in part.services)


def _service(service: Document, role: Role) -> Document:
    made: dict[str, Any] = deepcopy(dict(service))
    spec = made["spec"]
    spec["selector"][ROLE] = role.value
    if role is Role.CANDIDATE:
        made["metadata"]["name"] = name_in(made["metadata"]["name"], role)
        # What only one Service may have, or what opens it to the world, stays with the stable one.
        for field in ("clusterIP", "clusterIPs", "externalIPs", "loadBalancerIP", "healthCheckNodePort"):
            spec.pop(field, None)
        spec["type"] = "ClusterIP"
        for port in spec.get("ports") or []:
            port.pop("nodePort", None)
    return made


def scaler_of(part: Part, replicas: Mapping[str, int]) -> Document | None:
    """The scaler with the release's number as its minimum, which it may exceed but never fall below."""
    if part.scaler is None:
        return None
    made: dict[str, Any] = deepcopy(dict(part.scaler))
    least = max(1, replicas.get(part.name, 1))
    made["spec"]["minReplicas"] = least
    made["spec"]["maxReplicas"] = max(least, int(made["spec"].get("maxReplicas") or least))
    return made


def label(text: str) -> str:
    """As a label's value may be written."""
    allowed = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in text)
    return allowed[:_LABEL_LENGTH].strip("-_.")


def owned(document: Document, target: str, environment: str) -> Document:
    """The same, marked as put there by us for this target and environment, a Deployment's pods too."""
    made: dict[str, Any] = deepcopy(dict(document))
    ours = {OWNER: label(target), ENVIRONMENT: label(environment)}
    made.setdefault("metadata", {}).setdefault("labels", {}).update(ours)
    if made["kind"] == "Deployment":
        made["spec"]["template"]["metadata"]["labels"].update(ours)
    return made
