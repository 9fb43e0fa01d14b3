"""A container image in an archive, made without a container engine.

It solves that a scanner of images needs an image with a known fault before its clean answer is believed, on machines
that have no engine and no base image. It promises the layout of `docker save`, the same bytes for the same files. It
must never be taken for an image that runs: it holds what a package manager would have written, and no program.
"""

import hashlib
import json
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

DEBIAN_FILES: Mapping[str, str] = {
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\nNAME="Debian GNU/Linux"\n',
    "etc/debian_version": "12.5\n",
    "var/lib/dpkg/status": (
        "Package: zlib1g\nStatus: install ok installed\nPriority: required\nSection: libs\n"
        "Maintainer: Nobody <nobody@example.org>\nArchitecture: amd64\nSource: zlib\n"
        "Version: 1:1.2.11.dfsg-2\nDescription: compression library - runtime\n\n"
    ),
}


def python_package(name: str, version: str) -> Mapping[str, str]:
    """What pip leaves of a package, as far as a scanner looks."""
    folder = f"usr/local/lib/python3.11/site-packages/{name}-{version}.dist-info"
    return {f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n"}


BAIT_FILES = {**DEBIAN_FILES, **python_package("jinja2", "2.4.1")}


def image_archive(files: Mapping[str, str], *, tag: str = "bait:latest") -> bytes:
    """An image of one layer with these files, as `docker save` would write it."""
    layer = _archive({name: text.encode() for name, text in files.items()})
    configuration = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "history": [{"created_by": "COPY . /"}],
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()
    return _archive({name: configuration, "layer.tar": layer, "manifest.json": manifest})


def write_bait_image(place: Path) -> Path:
    """An image with advisories every database knows, at this place."""
    place.write_bytes(image_archive(BAIT_FILES))
    return place


def _archive(files: Mapping[str, bytes]) -> bytes:
    made = BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, BytesIO(content))
    return made.getvalue()
