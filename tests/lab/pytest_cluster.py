"""A Kubernetes cluster as fixtures: `pytest_plugins = ["tests.lab.pytest_cluster"]` in a test module.

A user's own cluster is taken first (TOWPATH_TEST_KUBECONFIG or KUBECONFIG), then the lab's. Where there is none to be
had the tests that ask for one are skipped with the reason, except in CI, where that is an error.
"""

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.lab.cluster.facts import Cluster, Gateway, of_lab, of_user
from tests.lab.cluster.lifecycle import running
from tests.lab.cluster.places import places
from tests.lab.engine import LabMissingError

# The first test of a cold machine waits for everything to be built.
_COLD_SECONDS = 2400


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(_COLD_SECONDS))


@pytest.fixture(scope="session")
def _cluster_or_reason() -> Iterator[Cluster | LabMissingError]:
    try:
        if own := of_user(places()):
            yield own
            return
        lab = running()
        home = lab.__enter__()
    except LabMissingError as missing:
        if os.environ.get("CI"):
            raise
        yield missing
        return
    try:
        yield of_lab(home)
    finally:
        lab.__exit__(None, None, None)


@pytest.fixture(scope="session")
def cluster(_cluster_or_reason: Cluster | LabMissingError) -> Cluster:
    """A cluster that answers."""
    if isinstance(_cluster_or_reason, LabMissingError):
        pytest.skip(str(_cluster_or_reason))
    return _cluster_or_reason


@pytest.fixture(scope="session")
def gateway(cluster: Cluster) -> Gateway:
    """A gateway of that cluster which this machine reaches."""
    if not cluster.gateway:
        pytest.skip("TOWPATH_TEST_GATEWAY does not name a gateway (namespace/name@host:port) of this cluster")
    return cluster.gateway


@pytest.fixture(scope="session")
def registry_address(cluster: Cluster) -> str:
    """A registry, as host:port, that this machine pushes to and the cluster pulls from."""
    if not cluster.registry:
        pytest.skip("TOWPATH_TEST_REGISTRY does not name a registry that this cluster pulls from")
    return cluster.registry


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"towpath-test-{secrets.token_hex(4)}"
    cluster.run("create", "namespace", name)
    yield name
    cluster.run("delete", "namespace", name, "--wait=false")
