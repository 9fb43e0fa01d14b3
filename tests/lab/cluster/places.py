"""Where the lab's cluster lives: its folders, its network, and what the rest of this package passes around.

Everything it keeps is under one folder, `cluster` in the lab's home. What is in `run` is gone after `down`; programs,
certificates, the registry's content, the builder's cache and the logs stay, so that the next start is a warm one.

It must never listen beyond this machine: everything listens on the bridge that the lab itself makes, except the
registry, which is on loopback because that is the only address container tools trust without TLS.
"""

import hashlib
import json
import socket
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.engine import lab_home

BRIDGE = "towpath0"
# Beside the engine's bridge (172.29.77.0/24): pods and the node, then services.
NODE_ADDRESS = "172.29.78.1"
POD_NETWORK = "172.29.78.0/24"
SERVICE_NETWORK = "172.29.79.0/24"
API_SERVICE = "172.29.79.1"
DNS_SERVICE = "172.29.79.10"
NODE_NAME = "towpath-lab"
CONTEXT = "towpath-lab"
API_PORT = 6443
ETCD_PORT = 2379
WEB_PORT = 8000
ROUTER_METRICS_PORT = 8001
# The first port we ask for on loopback: below the range that the kernel gives to clients, off everybody's defaults.
FIRST_REGISTRY_PORT = 25077


@dataclass(frozen=True)
class Places:
    """The folders of our own cluster."""

    lab: Path
    home: Path = field(init=False)
    sockets: Path = field(init=False)
    group: str = field(init=False)

    def __post_init__(self) -> None:
        # A socket's path may have 107 characters, and the home may be a deep temporary folder.
        digest = hashlib.sha256(str(self.lab).encode()).hexdigest()[:8]
        object.__setattr__(self, "home", self.lab / "cluster")
        object.__setattr__(self, "sockets", Path("/run") / f"towpath-cluster-{digest}")
        object.__setattr__(self, "group", f"towpath-lab-{digest}")

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def pod_logs(self) -> Path:
        return self.home / "logs" / "pods"

    @property
    def programs(self) -> Path:
        return self.home / "programs"

    @property
    def certificates(self) -> Path:
        return self.home / "certificates"

    @property
    def pids(self) -> Path:
        return self.home / "pids"

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    @property
    def kubectl(self) -> Path:
        """The cluster's own version of it, in a folder fit for PATH."""
        return self.home / "bin" / "kubectl"

    @property
    def containerd(self) -> Path:
        return self.sockets / "containerd.sock"

    @property
    def builder(self) -> Path:
        return self.sockets / "buildkitd.sock"

    @property
    def docker_config(self) -> Path:
        """Where buildx finds our builder; never the user's own ~/.docker."""
        return self.home / "docker-config"

    @property
    def registry(self) -> str:
        return f"127.0.0.1:{registry_port(self.home / 'registry.json')}"

    def image(self, name: str) -> str:
        return f"{self.registry}/towpath-lab/{name}"


def places() -> Places:
    return Places(lab_home())


def registry_port(kept: Path) -> int:
    """The registry's port: chosen once, since image references hold it."""
    if kept.exists():
        return int(json.loads(kept.read_text())["port"])
    port = next(port for port in range(FIRST_REGISTRY_PORT, FIRST_REGISTRY_PORT + 500) if is_free(port))
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"port": port}))
    return port


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
