"""Telling the components of an environment's manifests apart, and pinning their images."""

from typing import Any

import pytest

from tasks.core.cluster.documents import ManifestsRefused, parts_of, placeholders
from tasks.core.cluster.state import pinned_parts
from tests.core.cluster_manifests import IMAGES, NAMESPACE, deployment, ingress, job, parts, route, scaler, service


def test_components_and_surroundings() -> None:
    """A component is its Deployment with the Services and the scaler that belong to it; the rest surrounds it."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    other = service("other")
    found = parts(deployment(), service(), scaler(), route(), ingress(), config, other)

    assert found.components["backend"].services == (service(),)
    assert found.components["backend"].scaler == scaler()
    assert [each["kind"] for each in found.routes] == ["HTTPRoute", "Ingress"]
    assert list(found.surroundings) == [config, other]


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ([service()], "no Deployment of that name in the overlay; it has: none"),
        ([deployment("web")], "it has: web"),
        ([{"kind": "Deployment"}], "no apiVersion, kind or metadata.name"),
        ([deployment(), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}], "made by people"),
        ([deployment() | {"metadata": {"name": "backend", "namespace": "other"}}], "is for namespace other"),
    ],
)
def test_what_cannot_be_delivered(documents: list[dict[str, Any]], words: str) -> None:
    """What cannot be told apart, or is not for this namespace, is refused in one line that names it."""
    with pytest.raises(ManifestsRefused, match=words):
        parts_of(documents, ["backend"], NAMESPACE)


def test_images_are_pinned_wherever_they_run() -> None:
    """The component's image is pinned in its Deployment and in jobs that use it; images of others stay."""
    found = pinned_parts(parts(deployment(), job(), job("postgres:16") | {"metadata": {"name": "other"}}), IMAGES)

    assert placeholders(found) == IMAGES
    images = [
        each["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] for each in found.surroundings
    ]
    assert images == [IMAGES["backend"], "postgres:16"]


def test_two_containers_need_a_name() -> None:
    """With a sidecar it must be said which container is the component."""
    two = deployment()
    two["spec"]["template"]["spec"]["containers"] = [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]
    with pytest.raises(ManifestsRefused, match="call the container of the component backend too"):
        placeholders(parts(two))
