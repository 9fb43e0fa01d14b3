"""Whether the lab's cluster survives what is done to it, and what it leaves behind.

A second lab runs in a network and a mount namespace of its own, beside the first, whose programs and images it uses:
so it may be killed and taken down while others work.
"""

import hashlib
import ipaddress
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab.apart import Apart, apart
from tests.lab.cluster.daemons import process
from tests.lab.cluster.facts import Cluster
from tests.lab.cluster.lifecycle import DAEMONS
from tests.lab.cluster.places import CONTEXT, NODE_ADDRESS, Places, places

pytest_plugins = ["tests.lab.pytest_cluster"]
pytestmark = pytest.mark.long

SHARED = ("programs", "registry", "registry.json", "layers")


class Spare:
    """A lab apart from the one that others use."""

    def __init__(self, home: Path, first: Places, own: Apart) -> None:
        self.places = Places(home)
        self.places.home.mkdir(parents=True)
        for name in SHARED:
            (self.places.home / name).symlink_to(first.home / name)
        self._apart = own

    def run(self, *argv: str) -> str:
        return self._apart.run(*argv, environment={"TOWPATH_LAB": str(self.places.lab)})

    def lab(self, *words: str) -> None:
        self.run(sys.executable, "-m", "tests.lab.cluster", *words)

    def kubectl(self, *words: str) -> str:
        return self.run(str(self.places.kubectl), f"--kubeconfig={self.places.kubeconfig}", *words)

    def kill(self, *names: str) -> None:
        for name in names:
            pid = process(self.places, name)
            assert pid
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10.0
        while any(process(self.places, name) for name in names):
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def spare(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spare]:
    if cluster.context != CONTEXT:
        pytest.skip("the cluster of these tests is the user's own, which is not ours to kill")
    with apart() as own:
        lab = Spare(tmp_path_factory.mktemp("spare"), places(), own)
        try:
            yield lab
        finally:
            lab.lab("down", "--purge")


def traces(lab: Spare) -> list[str]:
    """Whatever on this machine still names that lab, each with where it was found."""
    own = lab.places
    marks = (str(own.lab), str(own.sockets), own.group)
    found = [f"link {line.split()[0]}" for line in lab.run("ip", "-brief", "link").splitlines() if "lo " not in line]
    found += [
        f"mount {line}"
        for line in lab.run("cat", "/proc/self/mounts").splitlines()
        if any(mark in line for mark in marks)
    ]
    for program in ("iptables-save", "ip6tables-save"):
        rules = lab.run(program).splitlines()
        found += [f"{program} {rule}" for rule in rules if rule.startswith("-A") or " - [" in rule]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = folder.joinpath("cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        found += [f"process {words}" for mark in marks[:2] if mark in words and str(os.getpid()) != folder.name]
    found += [f"group {group}" for group in Path("/sys/fs/cgroup").glob(f"*/{own.group}")]
    found += [f"folder {own.sockets}"] if own.sockets.exists() else []
    for outside in ("/var/lib/cni/results", "/var/log/containers"):
        found += [f"file {file}" for file in Path(outside).glob("*") if own.group in file.name or is_of(file, own)]
    return found


def listeners(lab: Spare) -> set[str]:
    """The addresses that anything listens on in the lab's network, where nothing else runs."""
    tables = lab.run("cat", "/proc/net/tcp", "/proc/net/tcp6").splitlines()
    fields = [line.split() for line in tables if "local_address" not in line]
    return {address_of(field[1].split(":")[0]) for field in fields if field[3] == "0A"}


def address_of(written: str) -> str:
    """As people write it; the kernel's words are little-endian, and an old address may hide in a new one."""
    words = [bytes.fromhex(written[at : at + 8])[::-1] for at in range(0, len(written), 8)]
    address = ipaddress.ip_address(b"".join(words))
    hidden = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(hidden or address)


def is_of(file: Path, own: Places) -> bool:
    return file.is_symlink() and file.readlink().is_relative_to(own.lab)


def test_a_second_lab_is_repaired_and_leaves_nothing(spare: Spare) -> None:
    """Two `up` at once make one cluster that no neighbour reaches; kill -9 is mended by `up`, or ended by `down`."""
    with ThreadPoolExecutor() as sessions:
        list(sessions.map(spare.lab, ["up", "up"]))
    spare.kubectl("create", "configmap", "kept", "--from-literal=word=held")
    before = spare.kubectl("-n", "kube-system", "get", "pods", "-l", "app=coredns", "-o", "name")
    assert any("link towpath0" in trace for trace in traces(spare))
    assert listeners(spare) == {NODE_ADDRESS, "127.0.0.1"}

    spare.kill("apiserver", "etcd", "kubelet", "containerd", "router", "buildkitd")
    spare.lab("up")
    assert spare.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.word}") == "held"
    assert spare.kubectl("-n", "kube-system", "get", "pods", "-l", "app=coredns", "-o", "name") == before
    spare.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")

    spare.kill(*DAEMONS)
    spare.lab("down")
    assert traces(spare) == []


def test_down_signals_only_what_it_started(tmp_path: Path) -> None:
    """A pid that was noted for an earlier process of that number is not a daemon of the lab."""
    own = Places(tmp_path)
    own.pids.mkdir(parents=True)
    (own.pids / "kubelet").write_text(f"{os.getpid()} 1 another-boot")
    assert process(own, "kubelet") is None


def test_each_lab_has_names_of_its_own(tmp_path: Path) -> None:
    """Two labs' sockets and control groups never meet."""
    one, other = Places(tmp_path / "one"), Places(tmp_path / "other")
    digest = hashlib.sha256(str(tmp_path / "one").encode()).hexdigest()[:8]
    assert one.group == f"towpath-lab-{digest}"
    assert {one.group, one.sockets} & {other.group, other.sockets} == set()
