"""The cluster's own authorities and what they sign: three small CAs, a key for service accounts, kubeconfigs.

It solves that a control plane is only as real as its certificates: node authorisation, RBAC and the aggregation layer
all read names from them. It promises that what exists is kept, so a kubeconfig stays valid over `down` and `up`.
Private keys must never be readable by anybody else.
"""

import base64
import ipaddress
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.lab.cluster.places import API_PORT, API_SERVICE, CONTEXT, NODE_ADDRESS, NODE_NAME, Places

VALID = timedelta(days=3650)
API_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")


@dataclass(frozen=True)
class Wanted:
    """One certificate: which authority signs it, whom it names."""

    authority: str
    name: str
    common_name: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


AUTHORITIES = ("cluster", "front-proxy", "etcd")
CERTIFICATES = (
    Wanted("etcd", "etcd-server", "etcd", hosts=(NODE_ADDRESS, "127.0.0.1")),
    Wanted("etcd", "etcd-client", "apiserver"),
    Wanted("cluster", "apiserver", "kube-apiserver", hosts=(NODE_ADDRESS, API_SERVICE, *API_NAMES)),
    Wanted("cluster", "apiserver-kubelet", "kube-apiserver-kubelet-client", groups=("system:masters",)),
    Wanted("front-proxy", "front-proxy-client", "front-proxy-client"),
    Wanted("cluster", "kubelet-server", NODE_NAME, hosts=(NODE_ADDRESS, NODE_NAME)),
    Wanted("cluster", "kubelet", f"system:node:{NODE_NAME}", groups=("system:nodes",)),
    Wanted("cluster", "proxy", "system:kube-proxy"),
    Wanted("cluster", "controller-manager", "system:kube-controller-manager"),
    Wanted("cluster", "scheduler", "system:kube-scheduler"),
    Wanted("cluster", "router", "towpath-lab:router"),
    Wanted("cluster", "admin", "towpath-lab:admin", groups=("system:masters",)),
)
USERS = ("kubelet", "proxy", "controller-manager", "scheduler", "router")


def make_certificates(places: Places) -> None:
    folder = places.certificates
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for authority in AUTHORITIES:
        if not (folder / f"{authority}-ca.crt").exists():
            make_authority(folder, authority)
    for wanted in CERTIFICATES:
        if not (folder / f"{wanted.name}.crt").exists():
            sign(folder, wanted)
    if not (folder / "service-accounts.key").exists():
        write_private(folder / "service-accounts.key", pem(ec.generate_private_key(ec.SECP256R1())))
    for user in USERS:
        write_private(folder / f"{user}.kubeconfig", kubeconfig(folder, user))
    write_private(places.kubeconfig, kubeconfig(folder, "admin"))


def make_authority(folder: Path, authority: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = naming(f"towpath-lab {authority}", ())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        begin(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(folder / f"{authority}-ca.key", pem(key))
    write_private(folder / f"{authority}-ca.crt", made.public_bytes(serialization.Encoding.PEM))


def sign(folder: Path, wanted: Wanted) -> None:
    authority = x509.load_pem_x509_certificate((folder / f"{wanted.authority}-ca.crt").read_bytes())
    signer = serialization.load_pem_private_key((folder / f"{wanted.authority}-ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
    builder = (
        begin(naming(wanted.common_name, wanted.groups), authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usages, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if wanted.hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives(wanted.hosts)), critical=False)
    made = builder.sign(signer, hashes.SHA256())
    write_private(folder / f"{wanted.name}.key", pem(key))
    write_private(folder / f"{wanted.name}.crt", made.public_bytes(serialization.Encoding.PEM))


def begin(subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + VALID)
    )


def naming(common_name: str, groups: Sequence[str]) -> x509.Name:
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def alternatives(hosts: Sequence[str]) -> list[x509.GeneralName]:
    return [x509.IPAddress(ipaddress.ip_address(h)) if h[0].isdigit() else x509.DNSName(h) for h in hosts]


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def kubeconfig(folder: Path, user: str) -> bytes:
    """All in one file, in JSON, which is YAML too."""

    def data(name: str) -> str:
        return base64.b64encode((folder / name).read_bytes()).decode()

    cluster = {"server": f"https://{NODE_ADDRESS}:{API_PORT}", "certificate-authority-data": data("cluster-ca.crt")}
    credentials = {"client-certificate-data": data(f"{user}.crt"), "client-key-data": data(f"{user}.key")}
    settings = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
        "current-context": CONTEXT,
    }
    return json.dumps(settings, indent=1).encode()


def write_private(path: Path, content: bytes) -> None:
    # Whole or not at all: a half-written key would be kept for good.
    fresh = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as written:
        written.write(content)
    fresh.replace(path)
