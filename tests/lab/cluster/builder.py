"""BuildKit for builds of several architectures, reached by buildx as the builder `towpath-lab`.

It promises a builder that pushes to the lab's registry and keeps its cache over `down`. It must never show in the
user's own buildx: DOCKER_CONFIG names a folder of the lab.
"""

import shutil
import subprocess
from collections.abc import Mapping
from functools import partial

from tests.lab.cluster.daemons import accepts, ensure
from tests.lab.cluster.places import Places
from tests.lab.cluster.programs import BUILDKITD, BUILDX, built
from tests.lab.engine import Lab, run

BUILDER = "towpath-lab"


def build_environment(places: Places) -> Mapping[str, str]:
    """What makes `docker buildx build` use this builder."""
    return {"DOCKER_CONFIG": str(places.docker_config), "BUILDX_BUILDER": BUILDER}


def start(places: Places) -> None:
    settings = places.run / "buildkitd.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(
        f"""root = "{places.home / "buildkit"}"
insecure-entitlements = ["network.host"]
[grpc]
address = ["unix://{places.builder}"]
[worker.oci]
networkMode = "host"
defaultCgroupParent = "/{places.group}/builds"
gckeepstorage = "8GB"
[worker.containerd]
enabled = false
[registry."{places.registry}"]
http = true
"""
    )
    ensure(places, "buildkitd", [built(places, BUILDKITD), "--config", settings], partial(accepts, places.builder))
    # The engine's tests, which would build it by themselves, find it as well.
    for plugin in (places.docker_config / "cli-plugins" / "docker-buildx", Lab(places.lab).buildx):
        if not plugin.exists():
            plugin.parent.mkdir(parents=True, exist_ok=True)
            plugin.unlink(missing_ok=True)
            shutil.copy2(built(places, BUILDX), plugin)
    if not knows_builder(places):
        create = ("create", "--name", BUILDER, "--driver", "remote", f"unix://{places.builder}")
        run("docker", "buildx", *create, environment={"DOCKER_CONFIG": str(places.docker_config)})


def knows_builder(places: Places) -> bool:
    return (places.docker_config / "buildx" / "instances" / BUILDER).exists()


def inspect(places: Places) -> str:
    done = subprocess.run(
        ["docker", "buildx", "inspect", BUILDER],
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", **build_environment(places)},
        capture_output=True,
        text=True,
    )
    return done.stdout
