"""Images made here and put into the lab's registry, without a container engine.

It solves that a node without images from outside needs its first ones from somewhere: an image is one layer and a few
documents, which a registry takes over plain HTTP. It promises the same digest for the same content.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.lab.cluster.places import Places

_OCI = "application/vnd.oci.image"
_SECONDS = 120.0


@dataclass(frozen=True)
class Layer:
    """A compressed tar archive in a file, and the digest of what is in it, which an image's configuration names."""

    file: Path
    content: str


def has_image(places: Places, name: str) -> bool:
    repository, tag = name.split(":")
    url = f"http://{places.registry}/v2/towpath-lab/{repository}/manifests/{tag}"
    accepted = f"{_OCI}.index.v1+json, {_OCI}.manifest.v1+json"
    return httpx.head(url, headers={"Accept": accepted}, timeout=10.0).status_code == 200


def push_program(places: Places, name: str, program: Path, command: str, architecture: str) -> None:
    """An image that holds one static program and nothing else."""
    layer = places.home / f".layer-{command}"
    content = hashlib.sha256()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        archive.add(program, command, filter=_as_root)
    content.update(raw.getvalue())
    layer.write_bytes(gzip.compress(raw.getvalue(), 1, mtime=0))
    try:
        push(places, name, {architecture: Layer(layer, f"sha256:{content.hexdigest()}")}, [f"/{command}"])
    finally:
        layer.unlink()


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755
    return entry


def push(places: Places, name: str, layers: Mapping[str, Layer], entrypoint: Sequence[str] = ()) -> None:
    """One name for all architectures: an index of one manifest for each."""
    repository, tag = name.split(":")
    with httpx.Client(base_url=f"http://{places.registry}/v2/towpath-lab/{repository}", timeout=_SECONDS) as registry:
        manifests = []
        for architecture, layer in layers.items():
            manifest = push_manifest(registry, architecture, layer, entrypoint)
            manifests.append({**manifest, "platform": {"os": "linux", "architecture": architecture}})
        put_document(registry, tag, "index", {"manifests": manifests})


def push_manifest(registry: httpx.Client, architecture: str, layer: Layer, entrypoint: Sequence[str]) -> dict[str, Any]:
    settings = {
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Entrypoint": list(entrypoint) or None,
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.content]},
        "history": [{"created_by": "towpath lab"}],
    }
    configuration = json.dumps(settings, sort_keys=True).encode()
    document = {
        "config": push_content(registry, f"{_OCI}.config.v1+json", configuration),
        "layers": [push_content(registry, f"{_OCI}.layer.v1.tar+gzip", layer.file.read_bytes())],
    }
    return put_document(registry, None, "manifest", document)


def push_content(registry: httpx.Client, kind: str, content: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if registry.head(f"/blobs/{digest}").status_code != 200:
        begun = registry.post("/blobs/uploads/").raise_for_status()
        place = httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": digest})
        registry.put(place, content=content).raise_for_status()
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def put_document(registry: httpx.Client, tag: str | None, kind: str, document: Mapping[str, Any]) -> dict[str, Any]:
    media = f"{_OCI}.{kind}.v1+json"
    content = json.dumps({"schemaVersion": 2, "mediaType": media, **document}, sort_keys=True).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    put = registry.put(f"/manifests/{tag or digest}", content=content, headers={"Content-Type": media})
    put.raise_for_status()
    return {"mediaType": media, "digest": digest, "size": len(content)}
