"""The node: a containerd of its own with CRI, the kubelet and kube-proxy.

It promises a node that is Ready and keeps all it has under the lab's folder. What these programs insist on keeping
elsewhere (/var/lib/cni, /run/containerd) is cleared away by `leftovers`.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

from tests.lab.cluster.control_plane import answers, listens
from tests.lab.cluster.daemons import accepts, ensure
from tests.lab.cluster.groups import make_groups
from tests.lab.cluster.places import BRIDGE, DNS_SERVICE, NODE_ADDRESS, NODE_NAME, POD_NETWORK, Places
from tests.lab.cluster.programs import HYPERKUBE, PAUSE, built

KUBELET_PORT = 10250
PROXY_PORT = 10256
DAEMONS = ("proxy", "kubelet", "containerd")


def start(places: Places) -> None:
    start_containerd(places)
    hyperkube = built(places, HYPERKUBE)
    make_groups(places.group)
    kubelet = write(places.run / "kubelet.json", kubelet_settings(places))
    ensure(
        places,
        "kubelet",
        [
            hyperkube,
            "kubelet",
            f"--config={kubelet}",
            f"--kubeconfig={places.certificates / 'kubelet.kubeconfig'}",
            f"--root-dir={places.run / 'kubelet'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={NODE_ADDRESS}",
        ],
        partial(answers, places.certificates, KUBELET_PORT, "/healthz"),
    )
    proxy = write(places.run / "proxy.json", proxy_settings(places))
    arguments = [f"--config={proxy}", f"--hostname-override={NODE_NAME}"]
    ensure(places, "proxy", [hyperkube, "proxy", *arguments], partial(listens, PROXY_PORT))


def start_containerd(places: Places) -> None:
    places.sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
    (places.run / "cni").mkdir(parents=True, exist_ok=True)
    write(places.run / "cni" / "10-towpath.conflist", cni_settings(places))
    settings = places.run / "containerd.toml"
    settings.write_text(containerd_settings(places))
    ensure(places, "containerd", ["containerd", "--config", settings], partial(accepts, places.containerd))


def containerd_settings(places: Places) -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{places.run / "containerd"}"
state = "{places.sockets / "containerd"}"
[grpc]
address = "{places.containerd}"
[{cri}]
sandbox_image = "{places.image(PAUSE.image)}"
# Where CAP_SYS_RESOURCE is missing no process may lower its score, and without this no pod would start.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[{cri}.cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{places.run / "cni"}"
[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
Root = "{places.sockets / "runc"}"
"""


def cni_settings(places: Places) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": str(places.run / "addresses"),
        "ranges": [[{"subnet": POD_NETWORK, "gateway": NODE_ADDRESS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return {"cniVersion": "0.4.0", "name": places.group, "plugins": [bridge, ports]}


def kubelet_settings(places: Places) -> dict[str, Any]:
    own = places.certificates
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "port": KUBELET_PORT,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(own / "cluster-ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(own / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(own / "kubelet-server.key"),
        "containerRuntimeEndpoint": f"unix://{places.containerd}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{places.group}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "podLogsDir": str(places.pod_logs),
        "staticPodPath": "",
        "serializeImagePulls": False,
        # The disk is the machine's, not ours: half full is nothing to evict for.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "nodeStatusUpdateFrequency": "5s",
        "shutdownGracePeriod": "0s",
    }


def proxy_settings(places: Places) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(places.certificates / "proxy.kubeconfig")},
        "mode": "iptables",
        "bindAddress": NODE_ADDRESS,
        "healthzBindAddress": f"{NODE_ADDRESS}:{PROXY_PORT}",
        "metricsBindAddress": f"{NODE_ADDRESS}:10249",
        "detectLocalMode": "BridgeInterface",
        "detectLocal": {"bridgeInterface": BRIDGE},
        # Node ports are for this machine, not for its neighbours.
        "nodePortAddresses": [POD_NETWORK],
        "iptables": {"minSyncPeriod": "100ms"},
        # These would be changed for the whole machine.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def write(path: Path, settings: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(settings, indent=1)
    # NOTE: kube-proxy ends itself when this file is written again, even with the same words.
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path
