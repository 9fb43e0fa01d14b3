"""Why pods are not ready, from what clusters really say of them."""

from typing import Any

import pytest

from tasks.core.cluster.trouble import another_image, is_ready, is_rolled_out, trouble_of, trouble_of_deployment


def pod(container: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    states = [{"name": "backend", "image": "shop:1", "restartCount": 0, **container}] if container else []
    return {"metadata": {"name": "p"}, "status": {"phase": "Pending", "containerStatuses": states, **status}}


def waiting(reason: str, message: str = "", *, restarts: int = 0, last: dict[str, Any] | None = None) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod({"state": state, "restartCount": restarts, "lastState": {"terminated": last} if last else {}})


UNSCHEDULABLE = pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient cpu."}])


@pytest.mark.parametrize(
    ("told", "words", "is_hopeless"),
    [
        (waiting("ErrImagePull", 'failed: "h/shop:1": not found'), "image shop:1 cannot be pulled", True),
        (waiting("ImagePullBackOff", "Back-off: dial tcp 10.0.0.1:443: i/o timeout"), "cannot be pulled", False),
        (waiting("ImagePullBackOff", "401 Unauthorized"), "cannot be pulled", True),
        (waiting("InvalidImageName", "couldn't parse"), "cannot be started: InvalidImageName", True),
        (waiting("CreateContainerConfigError", 'secret "db" not found'), 'secret "db" not found', True),
        (waiting("CrashLoopBackOff", restarts=1, last={"exitCode": 3}), "1 restarts, exit code 3", False),
        (waiting("CrashLoopBackOff", restarts=3, last={"exitCode": 137, "reason": "OOMKilled"}), "out of memory", True),
        (UNSCHEDULABLE, "no node takes it: 0/1 nodes: Insufficient cpu.", False),
        (waiting("ContainerCreating"), "not ready yet", False),
        (pod({"state": {"terminated": {"exitCode": 2}}}), "backend ended with exit code 2", False),
        (pod(phase="Failed", message="Evicted: disk pressure"), "Failed: Evicted", False),
        (pod(), "not ready yet", False),
    ],
)
def test_pods(told: dict[str, Any], words: str, is_hopeless: bool) -> None:
    """What keeps a pod is told in words, and only what no waiting mends is called hopeless."""
    trouble = trouble_of(told)
    assert words in trouble.words
    assert trouble.is_hopeless is is_hopeless


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("ghcr.io/acme/shop@sha256:aa", ""),
        ("mirror.example/acme/shop@sha256:aa", ""),
        ("ghcr.io/acme/shop@sha256:bb", "it runs the image ghcr.io/acme/shop@sha256:bb, and the release is"),
        ("ghcr.io/acme/shop:latest", "it runs the image ghcr.io/acme/shop:latest"),
    ],
)
def test_another_image(found: str, words: str) -> None:
    """A pod that runs another digest than the release has is told, one from a mirror is not; another name is none."""
    told = {"spec": {"containers": [{"name": "sidecar", "image": "x"}, {"name": "backend", "image": found}]}}
    trouble = another_image(told, "backend", "ghcr.io/acme/shop@sha256:aa")
    assert (words in trouble.words, bool(trouble.words), trouble.is_hopeless) == (True, bool(words), bool(words))
    assert another_image(told, "web", "ghcr.io/acme/shop@sha256:aa").is_hopeless


def test_failing_probes() -> None:
    """A pod that runs and does not become ready is explained by its probe's last words."""
    running = pod({"state": {"running": {}}}, phase="Running")
    events = [{"reason": "Unhealthy", "message": "Readiness probe failed: HTTP 503"}, {"reason": "Pulled"}]
    assert trouble_of(running, events).words == "Readiness probe failed: HTTP 503"


def test_deployments_that_make_no_pods() -> None:
    """A quota is told at once, and is hopeless until somebody changes it."""
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}
    trouble = trouble_of_deployment({"status": {"conditions": [refused]}})
    assert (trouble.words, trouble.is_hopeless) == ("its pods are refused: exceeded quota: small", True)
    assert trouble_of_deployment({"status": {}}).words == ""


@pytest.mark.parametrize(
    ("status", "is_out"),
    [
        (
            {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2},
            True,
        ),
        (
            {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2},
            False,
        ),
        (
            {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3, "readyReplicas": 3},
            False,
        ),
        (
            {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1, "readyReplicas": 2},
            False,
        ),
        ({}, False),
    ],
)
def test_rolled_out(status: dict[str, int], is_out: bool) -> None:
    """A Deployment is rolled out when its last wish was seen, all of it is ready, and nothing old is left."""
    assert is_rolled_out({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status}) is is_out


def test_readiness_of_pods() -> None:
    """A pod that is going is not ready, whatever its condition says."""
    ready = pod(conditions=[{"type": "Ready", "status": "True"}])
    assert is_ready(ready)
    assert not is_ready(ready | {"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert not is_ready(pod())
