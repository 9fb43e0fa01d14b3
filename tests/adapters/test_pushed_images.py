"""Images that are built for two kinds of machine, pushed, and read back, with a real builder and a real registry."""

import asyncio
import dataclasses
import json
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.adapters.image_registry import INPUTS, PushFailed, Registry
from tasks.adapters.platforms.kubernetes import requests
from tasks.adapters.pushed_images import ImagePush, arguments, choose_builder, push_image
from tests.lab.cluster.facts import Cluster

pytest_plugins = ["tests.lab.pytest_cluster"]
BOTH = ("linux/amd64", "linux/arm64")
# With little to import, since all of it is emulated.
SERVING = """
import os, socket
print(os.uname().machine, flush=True)
with socket.create_server(("", 8000)) as listener:
    while True:
        line, _ = listener.accept()
        asked = line.recv(1000).split(b" HTTP")[0].decode()
        line.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
        line.close()
        print("answered", asked, flush=True)
"""


@pytest.fixture
def push(tmp_path: Path, cluster: Cluster, registry_address: str, monkeypatch: pytest.MonkeyPatch) -> ImagePush:
    """Two files on the Python base, for both kinds of machine."""
    for name, value in cluster.builder.items():
        monkeypatch.setenv(name, value)
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        f"FROM {cluster.images.python}\nCOPY word /word\nRUN uname -m > /machine\n"
        'CMD ["python3", "-c", "import platform; print(platform.machine(), open(\'/word\').read())"]\n'
    )
    (context / "word").write_text(str(tmp_path))
    return ImagePush(
        # The registry of a lab that runs for long remembers what another run of this test has pushed.
        repository=f"{registry_address}/test/{tmp_path.name.replace('_', '-').lower()}-{secrets.token_hex(4)}",
        tags=("sha-0123456789ab", "1.4.0", "latest"),
        dockerfile=context / "Dockerfile",
        context=context,
        platforms=BOTH,
        inputs="sha256:of-these-inputs",
        epoch=1_700_000_000,
        labels={"org.opencontainers.image.revision": "0123456789ab"},
        log=tmp_path / "push.log",
        builder=cluster.builder.get("BUILDX_BUILDER", ""),
        has_bill=False,
    )


def index_of(push: ImagePush, tag: str) -> dict[str, object]:
    host, _, name = push.repository.partition("/")
    accept = {"Accept": "application/vnd.oci.image.index.v1+json"}
    answer = httpx.get(f"http://{host}/v2/{name}/manifests/{tag}", headers=accept)
    found: dict[str, object] = answer.raise_for_status().json()
    return found


def test_both_machines_one_digest(push: ImagePush) -> None:
    """One digest names an index of both kinds of machine with a provenance each, under every tag."""
    pushed = asyncio.run(push_image(push))

    index = index_of(push, pushed.digest)
    manifests = index["manifests"]
    assert isinstance(manifests, list)
    machines = [f"{each['platform']['os']}/{each['platform']['architecture']}" for each in manifests]
    assert sorted(machines) == ["linux/amd64", "linux/arm64", "unknown/unknown", "unknown/unknown"]
    assert pushed.reference == f"{push.repository}@{pushed.digest}"
    registry = Registry(push.repository)
    assert {asyncio.run(registry.digest_of(tag)) for tag in push.tags} == {pushed.digest}
    assert index["annotations"] == {INPUTS: push.inputs, **push.labels}


def test_the_same_inputs_are_the_same_image(push: ImagePush) -> None:
    """What was pushed for these inputs is not built again: the digest is the same, and further tags are given to it."""
    first = asyncio.run(push_image(push))
    again = dataclasses.replace(push, tags=("sha-0123456789ab", "2.0.0"), dockerfile=Path("/nonexistent"))
    second = asyncio.run(push_image(again))

    assert (second.digest, second.is_reused) == (first.digest, True)
    assert asyncio.run(Registry(push.repository).digest_of("2.0.0")) == first.digest


def test_other_inputs_are_another_image(push: ImagePush) -> None:
    """With other inputs it is built, by what the cache has of the layers that did not change."""
    first = asyncio.run(push_image(push))
    (push.context / "word").write_text("another word")
    second = asyncio.run(push_image(dataclasses.replace(push, inputs="sha256:of-others")))

    assert second.digest != first.digest
    assert not second.is_reused


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (
            {"builder_id": "mallory"},
            "was built from 0123456789ab by towpath, and the release is 0123456789ab by mallory",
        ),
        ({"labels": {"org.opencontainers.image.revision": "fedcba"}}, "was built from 0123456789ab by towpath"),
    ],
)
def test_an_image_of_somebody_else(push: ImagePush, wanted: dict[str, Any], why: str) -> None:
    """What lies under our tag with our inputs, and was built from something else or by somebody else, is refused."""
    asyncio.run(push_image(push))
    with pytest.raises(PushFailed, match=why):
        asyncio.run(push_image(dataclasses.replace(push, **wanted)))


def test_an_image_without_provenance(push: ImagePush) -> None:
    """An image that nothing attests is refused, though tag and inputs are those of the release."""
    asyncio.run(push_image(push))
    host, _, name = push.repository.partition("/")
    bare = index_of(push, push.tags[0])
    assert isinstance(bare["manifests"], list)
    bare["manifests"] = [each for each in bare["manifests"] if each["platform"]["os"] != "unknown"]
    headers = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
    put = f"http://{host}/v2/{name}/manifests/{push.tags[0]}"
    httpx.put(put, content=json.dumps(bare), headers=headers).raise_for_status()
    with pytest.raises(PushFailed, match="no attestation speaks of sha256:"):
        asyncio.run(push_image(push))


def test_a_build_that_fails(push: ImagePush) -> None:
    """It ends in the builder's own line, and no tag is there."""
    push.dockerfile.write_text(push.dockerfile.read_text() + "RUN exit 7\n")
    with pytest.raises(PushFailed, match="exit code: 7"):
        asyncio.run(push_image(push))
    assert asyncio.run(Registry(push.repository).digest_of(push.tags[0])) is None


def test_a_registry_that_is_not_there(push: ImagePush, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that nobody answers at is told after some tries, before anything is built."""
    monkeypatch.setattr("tasks.adapters.image_registry._FIRST_WAIT_SECONDS", 0.01)
    with pytest.raises(PushFailed, match=r"does not answer \(ConnectError\)"):
        asyncio.run(push_image(dataclasses.replace(push, repository="127.0.0.1:9/a/b")))
    assert not push.log.exists()


def test_a_builder_that_is_not_there(push: ImagePush, tmp_path: Path) -> None:
    """A builder that was named and does not exist is an error that lists those that do."""
    with pytest.raises(PushFailed, match="there is no builder nobody"):
        asyncio.run(choose_builder("nobody", BOTH, log=tmp_path / "log"))


def test_a_token_is_in_no_command_line(push: ImagePush) -> None:
    """The login's token is no argument, and neither is it in what a build is started with."""
    words = arguments(push, "builder", Path("metadata"))
    assert "--password" not in words
    assert words[-1] == str(push.context)


def test_a_login_that_is_wrong(push: ImagePush, tmp_path: Path) -> None:
    """A registry that is no registry, or lets nobody in, is told by name, and the token is nowhere on the disk."""
    refused = dataclasses.replace(push, repository="localhost:9/a/b", log=tmp_path / "logs" / "push.log")
    with pytest.raises(PushFailed):
        asyncio.run(push_image(refused, credentials=("ada", "the-token-of-ada")))
    written = [path.read_bytes() for path in (tmp_path / "logs").rglob("*") if path.is_file()]
    assert not any(b"the-token-of-ada" in each for each in written)


def test_the_arm_image_runs(push: ImagePush, cluster: Cluster, namespace: str) -> None:
    """The image for the other kind of machine runs under emulation, says so, and answers its health check over HTTP."""
    pushed = asyncio.run(push_image(push))
    arm = next(
        each["digest"]
        for each in index_of(push, pushed.digest)["manifests"]  # type: ignore[attr-defined]
        if each["platform"]["architecture"] == "arm64"
    )
    container = {
        "name": "arm",
        "image": f"{push.repository}@{arm}",
        "command": ["python3", "-S", "-c", SERVING],
        "readinessProbe": {"httpGet": {"path": "/word", "port": 8000}, "periodSeconds": 1, "timeoutSeconds": 5},
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "arm"}, "spec": {"containers": [container]}}
    asyncio.run(requests.Cluster(cluster.context, namespace, str(cluster.kubeconfig)).create(pod))
    cluster.run("-n", namespace, "wait", "--for=condition=Ready", "pod/arm", "--timeout=120s")
    logs = cluster.run("-n", namespace, "logs", "arm")
    assert logs.startswith("aarch64")
    assert "answered GET /word" in logs
