"""The control plane: etcd, apiserver, controller manager and scheduler, each a daemon of the lab.

It promises one that is answering and ready when `start` returns, with its data kept until `down`. Nothing of it may
listen on an address that another machine reaches, and nothing may be asked without a certificate.
"""

import http.client
import socket
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.lab.cluster.daemons import ensure
from tests.lab.cluster.places import API_PORT, ETCD_PORT, NODE_ADDRESS, SERVICE_NETWORK, Places
from tests.lab.cluster.programs import HYPERKUBE, built

ETCD = f"https://{NODE_ADDRESS}:{ETCD_PORT}"
CONTROLLERS_PORT = 10257
SCHEDULER_PORT = 10259
DAEMONS = ("scheduler", "controller-manager", "apiserver", "etcd")


def start(places: Places) -> None:
    hyperkube = built(places, HYPERKUBE)
    ensure(places, "etcd", [hyperkube, "etcd", *etcd(places)], partial(listens, ETCD_PORT))
    ensure(places, "apiserver", [hyperkube, "apiserver", *apiserver(places)], ready(places))
    controllers: list[str | Path] = [hyperkube, "controller-manager", *controller_manager(places)]
    ensure(places, "controller-manager", controllers, partial(listens, CONTROLLERS_PORT))
    ensure(places, "scheduler", [hyperkube, "scheduler", *scheduler(places)], partial(listens, SCHEDULER_PORT))


def etcd(places: Places) -> list[str]:
    own = places.certificates
    return [
        "--name=lab",
        f"--data-dir={places.run / 'etcd'}",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        f"--listen-peer-urls=https://{NODE_ADDRESS}:{ETCD_PORT + 1}",
        f"--initial-advertise-peer-urls=https://{NODE_ADDRESS}:{ETCD_PORT + 1}",
        f"--initial-cluster=lab=https://{NODE_ADDRESS}:{ETCD_PORT + 1}",
        *(
            f"--{side}{name}={own / file}"
            for side in ("", "peer-")
            for name, file in (
                ("cert-file", "etcd-server.crt"),
                ("key-file", "etcd-server.key"),
                ("trusted-ca-file", "etcd-ca.crt"),
            )
        ),
        "--client-cert-auth",
        "--peer-client-cert-auth",
        # A lab's data may be lost with the machine's power.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver(places: Places) -> list[str]:
    own = places.certificates
    return [
        f"--advertise-address={NODE_ADDRESS}",
        f"--bind-address={NODE_ADDRESS}",
        f"--secure-port={API_PORT}",
        f"--etcd-servers={ETCD}",
        f"--etcd-cafile={own / 'etcd-ca.crt'}",
        f"--etcd-certfile={own / 'etcd-client.crt'}",
        f"--etcd-keyfile={own / 'etcd-client.key'}",
        f"--client-ca-file={own / 'cluster-ca.crt'}",
        f"--tls-cert-file={own / 'apiserver.crt'}",
        f"--tls-private-key-file={own / 'apiserver.key'}",
        f"--kubelet-client-certificate={own / 'apiserver-kubelet.crt'}",
        f"--kubelet-client-key={own / 'apiserver-kubelet.key'}",
        f"--kubelet-certificate-authority={own / 'cluster-ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={own / 'service-accounts.key'}",
        f"--service-account-signing-key-file={own / 'service-accounts.key'}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--authorization-mode=Node,RBAC",
        "--anonymous-auth=false",
        "--enable-admission-plugins=NodeRestriction",
        # The aggregation layer, which metrics-server answers through.
        f"--requestheader-client-ca-file={own / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={own / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={own / 'front-proxy-client.key'}",
        "--enable-aggregator-routing=true",
    ]


def controller_manager(places: Places) -> list[str]:
    own = places.certificates
    return [
        *as_user(places, "controller-manager"),
        "--use-service-account-credentials",
        f"--root-ca-file={own / 'cluster-ca.crt'}",
        f"--service-account-private-key-file={own / 'service-accounts.key'}",
        f"--requestheader-client-ca-file={own / 'front-proxy-ca.crt'}",
        "--allocate-node-cidrs=false",
        # Tests wait on these: seconds instead of a cluster's usual minutes.
        "--horizontal-pod-autoscaler-sync-period=5s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
        "--horizontal-pod-autoscaler-cpu-initialization-period=10s",
        "--node-monitor-grace-period=20s",
    ]


def scheduler(places: Places) -> list[str]:
    own = places.certificates
    return [
        *as_user(places, "scheduler"),
        f"--requestheader-client-ca-file={own / 'front-proxy-ca.crt'}",
    ]


def as_user(places: Places, name: str) -> list[str]:
    config = places.certificates / f"{name}.kubeconfig"
    return [
        *(f"--{use}={config}" for use in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")),
        f"--bind-address={NODE_ADDRESS}",
        "--leader-elect=false",
    ]


def listens(port: int) -> bool:
    try:
        with socket.create_connection((NODE_ADDRESS, port), timeout=1.0):
            return True
    except OSError:
        return False


def ready(places: Places) -> Callable[[], bool]:
    return lambda: answers(places.certificates, API_PORT, "/readyz")


def answers(own: Path, port: int, path: str) -> bool:
    """Whether a component says it is well, asked as the administrator."""
    trusted = ssl.create_default_context(cafile=str(own / "cluster-ca.crt"))
    trusted.load_cert_chain(own / "admin.crt", own / "admin.key")
    connection = http.client.HTTPSConnection(NODE_ADDRESS, port, timeout=2.0, context=trusted)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
