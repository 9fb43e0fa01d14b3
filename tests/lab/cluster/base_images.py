"""The base images that the lab's builds and pods start from, made of Debian packages.

It promises each of them in the lab's registry, made once per version of what stands here: python and node for amd64 and
arm64 under one name each, PostgreSQL and Redis for this machine's architecture.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab.cluster.builder import build_environment
from tests.lab.cluster.image_store import Layer, has_image, push
from tests.lab.cluster.places import Places
from tests.lab.cluster.programs import SOURCES, architecture
from tests.lab.engine import DEBIAN, LabMissingError, remove_tree, run, say

PYTHON = "python:bookworm"
PACKAGES = "python3,python3-venv,ca-certificates"
NODE_VERSION = "22.23.3"
# What npm calls them.
NODE_NAMES = {"amd64": "x64", "arm64": "arm64"}
OTHER = {"amd64": "arm64", "arm64": "amd64"}


def make_first(places: Places) -> None:
    """The Python base for this machine, which pods with volumes wait for; the other architecture follows."""
    make_python(places, [architecture()])


def make_rest(places: Places) -> None:
    make_python(places, both())
    make_built(places, "postgres", [architecture()])
    make_built(places, "redis", [architecture()])
    make_built(places, "node", both())


def both() -> list[str]:
    """This machine's architecture first."""
    return [architecture(), OTHER[architecture()]]


def make_python(places: Places, wanted: Sequence[str]) -> None:
    made = {name for name in NODE_NAMES if is_made(places, PYTHON, f"{DEBIAN} {PACKAGES} {name}")}
    if set(wanted) <= made:
        return
    push(places, PYTHON, {name: python_layer(places, name) for name in wanted})
    for name in wanted:
        keep_mark(places, PYTHON, f"{DEBIAN} {PACKAGES} {name}")


def python_layer(places: Places, name: str) -> Layer:
    """A Debian with Python as one compressed archive."""
    key = hashlib.sha256(f"{DEBIAN} {PACKAGES}".encode()).hexdigest()[:12]
    archive = places.home / "layers" / f"python-{name}-{key}.tar.gz"
    content = archive.with_suffix(".content")
    if not content.exists():
        say(f"making the Python base image for {name} (a minute, or three under emulation, once)")
        archive.parent.mkdir(parents=True, exist_ok=True)
        root = places.home / f"rootfs-{name}"
        remove_tree(root)
        run("debootstrap", f"--arch={name}", "--variant=minbase", f"--include={PACKAGES}", DEBIAN, root)
        for cache in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / cache, ignore_errors=True)
            (root / cache / "partial").mkdir(parents=True)
        # For scripts and users who are used to it; Debian has only `python3`.
        (root / "usr/bin/python").symlink_to("python3")
        content.write_text(compress(root, archive))
        remove_tree(root)
    return Layer(archive, content.read_text())


def compress(root: Path, archive: Path) -> str:
    """Write the folder's archive, compressed; the digest is of what goes in."""
    digest = hashlib.sha256()
    packed = ["tar", "--numeric-owner", "--sort=name", "-C", str(root), "-c", "."]
    with (
        archive.open("wb") as written,
        subprocess.Popen(packed, stdout=subprocess.PIPE) as tar,
        subprocess.Popen(["gzip", "-1n"], stdin=subprocess.PIPE, stdout=written) as gzip,
    ):
        assert tar.stdout
        assert gzip.stdin
        while chunk := tar.stdout.read(1 << 20):
            digest.update(chunk)
            gzip.stdin.write(chunk)
    if tar.returncode or gzip.returncode:
        raise LabMissingError(f"the lab's {archive.name} could not be packed")
    return f"sha256:{digest.hexdigest()}"


def make_built(places: Places, name: str, wanted: Sequence[str]) -> None:
    """An image that BuildKit builds on the Python base from a folder here."""
    tag = f"{name}:bookworm"
    folder = SOURCES / "images" / name
    sources = [file.read_text() for file in sorted(folder.iterdir())]
    version = hashlib.sha256(repr([DEBIAN, PACKAGES, NODE_VERSION, wanted, sources]).encode()).hexdigest()
    if is_made(places, tag, version):
        return
    say(f"building the {name} base image")
    context = places.home / f"context-{name}"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(folder, context)
    if name == "node":
        add_node(context, wanted)
    run(
        "docker",
        *("buildx", "build", "--provenance=false", "--push", f"--tag={places.image(tag)}"),
        f"--platform={','.join(f'linux/{architecture}' for architecture in wanted)}",
        f"--build-arg=BASE_IMAGE={places.image(PYTHON)}",
        context,
        environment=build_environment(places),
    )
    shutil.rmtree(context)
    keep_mark(places, tag, version)


def add_node(context: Path, wanted: Sequence[str]) -> None:
    """Node for each architecture from npm's registry, and this machine's npm, which is the same on all of them."""
    for name in wanted:
        package = f"node-linux-{NODE_NAMES[name]}@{NODE_VERSION}"
        packed = run("npm", "pack", "--silent", f"--pack-destination={context}", package).strip().splitlines()[-1]
        run("tar", "-C", context, "-xzf", context / packed, "package/bin/node")
        (context / "package/bin/node").rename(context / f"node-{name}")
        (context / packed).unlink()
    npm = Path(shutil.which("npm") or "npm").resolve().parent.parent
    shutil.copytree(npm, context / "npm", symlinks=True)
    (context / "links").mkdir()
    for name in ("npm", "npx"):
        (context / "links" / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")


def is_made(places: Places, tag: str, version: str) -> bool:
    mark = mark_of(places, tag)
    return mark.exists() and version in mark.read_text().splitlines() and has_image(places, tag)


def keep_mark(places: Places, tag: str, version: str) -> None:
    mark = mark_of(places, tag)
    mark.parent.mkdir(parents=True, exist_ok=True)
    before = mark.read_text() if mark.exists() and tag == PYTHON else ""
    mark.write_text(f"{before}{version}\n")


def mark_of(places: Places, tag: str) -> Path:
    return places.home / "layers" / f"{tag.split(':')[0]}.pushed"
