"""The manifests of a release, as values: what each document is, and which belong to which component.

A component is the Deployment that has its name, the Services that select that Deployment's pods, and the
HorizontalPodAutoscaler that scales it. Everything else surrounds the components and is the same for both releases.
A manifest is never guessed at: what cannot be told apart is refused in one line that names the document.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
ROUTE, INGRESS = "HTTPRoute", "Ingress"


class ManifestsRefused(Exception):
    """The manifests cannot be delivered; the text says which document, why, and what to do."""


@dataclass(frozen=True, order=True)
class Identity:
    """What names an object in a cluster; `version` is its apiVersion, `namespace` empty where the kind has none."""

    version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Part:
    """One component's documents."""

    name: str
    deployment: Document
    services: tuple[Document, ...]
    scaler: Document | None


@dataclass(frozen=True)
class Parts:
    """A whole release: its components, what splits the traffic between their Services, and all that surrounds them."""

    components: Mapping[str, Part]
    routes: tuple[Document, ...]
    surroundings: tuple[Document, ...]

    @property
    def services(self) -> frozenset[str]:
        """Names of the components' Services, as stable ones have them."""
        return frozenset(str(each["metadata"]["name"]) for part in self.components.values() for each in part.services)


def identity_of(document: Document, namespace: str) -> Identity:
    """Raises ManifestsRefused for what is no object."""
    metadata = document.get("metadata") or {}
    version, kind, name = (
        str(found or "") for found in (document.get("apiVersion"), document.get("kind"), metadata.get("name"))
    )
    if not (version and kind and name):
        raise ManifestsRefused(f"a document has no apiVersion, kind or metadata.name: {str(document)[:120]}")
    return Identity(version, kind, str(metadata.get("namespace") or namespace), name)


def parts_of(documents: Iterable[Document], components: Iterable[str], namespace: str) -> Parts:
    """Tell the components apart. Raises ManifestsRefused."""
    known = {identity_of(document, namespace): document for document in documents}
    _refuse_elsewhere(known, namespace)
    parts = {name: _part(name, known) for name in components}
    owned = {id(each) for part in parts.values() for each in (part.deployment, *part.services, part.scaler)}
    left = [document for document in known.values() if id(document) not in owned]
    return Parts(
        components=parts,
        routes=tuple(document for document in left if document["kind"] in (ROUTE, INGRESS)),
        surroundings=tuple(document for document in left if document["kind"] not in (ROUTE, INGRESS)),
    )


def _refuse_elsewhere(known: Iterable[Identity], namespace: str) -> None:
    for each in known:
        if each.namespace != namespace:
            raise ManifestsRefused(f"{each} is for namespace {each.namespace}, and this environment is {namespace}")
        if each.kind == "Namespace":
            raise ManifestsRefused(f"{each}: namespaces are made by people; take it out of the overlay")


def _part(name: str, known: Mapping[Identity, Document]) -> Part:
    deployment = next(
        (each for found, each in known.items() if found.kind == "Deployment" and found.name == name), None
    )
    if deployment is None:
        there = ", ".join(sorted(found.name for found in known if found.kind == "Deployment")) or "none"
        raise ManifestsRefused(f"component {name} has no Deployment of that name in the overlay; it has: {there}")
    labels = pod_labels(deployment)
    services = [each for found, each in known.items() if found.kind == "Service" and _selects(each, labels)]
    scalers = [each for found, each in known.items() if found.kind == "HorizontalPodAutoscaler" and _scales(each, name)]
    return Part(name, deployment, tuple(services), scalers[0] if scalers else None)


def pod_labels(deployment: Document) -> Mapping[str, str]:
    template = (deployment.get("spec") or {}).get("template") or {}
    return (template.get("metadata") or {}).get("labels") or {}


def _selects(service: Document, labels: Mapping[str, str]) -> bool:
    selector = (service.get("spec") or {}).get("selector") or {}
    return bool(selector) and selector.items() <= labels.items()


def _scales(scaler: Document, name: str) -> bool:
    target = (scaler.get("spec") or {}).get("scaleTargetRef") or {}
    return target.get("kind") == "Deployment" and target.get("name") == name


def main_container(part: Part) -> Mapping[str, Any]:
    """The container named like the component, else the only one. Raises ManifestsRefused."""
    containers = part.deployment["spec"]["template"]["spec"]["containers"]
    named = [each for each in containers if each.get("name") == part.name]
    if len(named or containers) != 1:
        raise ManifestsRefused(f"Deployment {part.name}: call the container of the component {part.name} too")
    found: Mapping[str, Any] = (named or containers)[0]
    return found


def placeholders(parts: Parts) -> Mapping[str, str]:
    """The image of each component as the manifests write it, by component."""
    return {name: str(main_container(part).get("image") or "") for name, part in parts.components.items()}


def pinned(document: Document, images: Mapping[str, str]) -> Document:
    """The same with every image that the manifests write as a key of `images` replaced, wherever pods are described."""
    changed = _replaced(document, images)
    assert isinstance(changed, dict)
    return changed


def _replaced(value: Any, images: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: images[inner]
            if key == "image" and isinstance(inner, str) and inner in images
            else _replaced(inner, images)
            for key, inner in value.items()
        }
    return [_replaced(each, images) for each in value] if isinstance(value, list) else value
