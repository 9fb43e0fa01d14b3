"""Guards of namespaces as programs of their own: each with an empty home, and with the documented Role and no more."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.lab.cluster.facts import Cluster

_ROOT = Path(__file__).parents[2]
ACCOUNT = "towpath-guard"


def kubeconfig_of_guard(cluster: Cluster, namespaces: Sequence[str], folder: Path) -> Path:
    """A kubeconfig whose user may do what the Roles say that `towpath guard --role` prints."""
    cluster.run("-n", namespaces[0], "create", "serviceaccount", ACCOUNT)
    words = [word for namespace in namespaces for word in ("--namespace", namespace)]
    printed = subprocess.run(
        [sys.executable, "-m", "deployments.cli", "guard", "--context", cluster.context, *words, "--role", ACCOUNT],
        cwd=_ROOT,
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    roles = folder / "roles.yaml"
    roles.write_text(printed)
    cluster.run("apply", "-f", str(roles))
    subject = f"--serviceaccount={namespaces[0]}:{ACCOUNT}"
    for namespace in namespaces:
        cluster.run("-n", namespace, "create", "rolebinding", ACCOUNT, f"--role={ACCOUNT}", subject)
    token = cluster.run("-n", namespaces[0], "create", "token", ACCOUNT).strip()
    return as_user(cluster, token, folder / "guard-kubeconfig")


def as_user(cluster: Cluster, token: str, path: Path) -> Path:
    told = yaml.safe_load(cluster.kubeconfig.read_text())
    (context,) = [each for each in told["contexts"] if each["name"] == cluster.context]
    user = {"name": ACCOUNT, "user": {"token": token}}
    told |= {"users": [user], "contexts": [{**context, "context": {**context["context"], "user": ACCOUNT}}]}
    path.write_text(yaml.safe_dump(told))
    path.chmod(0o600)
    return path


class GuardProcess:
    """One `towpath guard` of a cluster."""

    def __init__(self, cluster: Cluster, kubeconfig: Path, namespaces: Sequence[str], home: Path) -> None:
        home.mkdir(parents=True)
        self.log = home / "log"
        words = [word for namespace in namespaces for word in ("--namespace", namespace)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deployments.cli", "guard", "--context", cluster.context, *words],
                cwd=_ROOT,
                env={**os.environ, "KUBECONFIG": str(kubeconfig), "TOWPATH_HOME": str(home), "PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=log,
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def until_said(self, words: str, *, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)


@contextmanager
def two_guards(
    cluster: Cluster, namespaces: Sequence[str], folder: Path
) -> Iterator[tuple[GuardProcess, GuardProcess]]:
    """The one that leads, and the one that only watches."""
    kubeconfig = kubeconfig_of_guard(cluster, namespaces, folder)
    leader = GuardProcess(cluster, kubeconfig, namespaces, folder / "guard-a")
    leader.until_said(" leading")
    other = GuardProcess(cluster, kubeconfig, namespaces, folder / "guard-b")
    other.until_said("guarding every environment")
    try:
        yield leader, other
    finally:
        for each in (other, leader):
            each.process.terminate()
            each.process.wait(timeout=30)
