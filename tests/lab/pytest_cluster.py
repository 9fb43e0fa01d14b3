"""A Kubernetes cluster as fixtures: `pytest_plugins = ["tests.lab.pytest_cluster"]` in a test module.

A user's own cluster is taken first (TOWPATH_TEST_KUBECONFIG or KUBECONFIG), then the lab's. Where there is none to be
had the tests that ask for one are skipped with the reason, except in CI, where that is an error.
"""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.cluster.facts import Cluster, Gateway, of_lab, of_user
from tests.lab.cluster.lifecycle import running, why_not
from tests.lab.cluster.places import places
from tests.lab.engine import LabMissingError

# The first test of a cold machine waits for everything to be built.
_COLD_SECONDS = 2400
_OWN = ("TOWPATH_TEST_KUBECONFIG", "KUBECONFIG")
_ROOT = Path(__file__).parents[2]


_compiling = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a cluster come last: what they need is compiled while the others run."""
    for item in items:
        if _needs_cluster(item):
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(_COLD_SECONDS))
    items.sort(key=_needs_cluster)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to compile, with what the processors have to spare. That it cannot be done is for the fixture to say."""
    first = next((number for number, item in enumerate(session.items) if _needs_cluster(item)), 0)
    if not first or session.config.option.collectonly or why_not() or any(map(os.environ.get, _OWN)):
        return
    argv = ["nice", "-n", "19", sys.executable, "-m", "tests.lab.cluster", "prepare"]
    places().home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (places().home / "prepare.log").open("wb") as log:
        begun = subprocess.Popen(
            argv, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    _compiling.callback(_end, begun)


def pytest_sessionfinish() -> None:
    _compiling.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """With the compilers that it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def _needs_cluster(item: pytest.Item) -> bool:
    return "cluster" in getattr(item, "fixturenames", ())


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
