"""Whether what the lab's cluster changes on a machine is found and taken back, and nothing else is."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.apart import Apart, apart, needs_root
from tests.lab.cluster.groups import hierarchies, make_groups, members, remove_groups
from tests.lab.cluster.places import Places

pytestmark = needs_root

_SWITCH = "/proc/sys/net/ipv4/ip_forward"
_MAKE = "from tests.lab.cluster import network; from tests.lab.cluster.places import places; network.make(places())"
_REMOVE = _MAKE.replace("network.make", "network.remove")


@pytest.fixture
def own() -> Iterator[Apart]:
    with apart() as namespaces:
        yield namespaces


def rules(own: Apart) -> list[str]:
    return [line for line in own.run("iptables-save").splitlines() if line.startswith("-A") or " - [" in line]


def python(own: Apart, home: Path, words: str) -> str:
    (home / "cluster").mkdir(exist_ok=True)
    return own.run(sys.executable, "-c", words, environment={"TOWPATH_LAB": str(home)})


def test_the_network_is_put_back(own: Apart, tmp_path: Path) -> None:
    """Rules that others made stay, and those of a node, a bridge and a kernel's switch go."""
    others = "-A INPUT -s 10.1.2.3/32 -j DROP"
    own.run("iptables", *others.split())
    own.run("sh", "-c", f"echo 0 >{_SWITCH}")
    python(own, tmp_path, _MAKE)
    # As kube-proxy and CNI do.
    own.run("iptables", "-t", "nat", "-N", "KUBE-SERVICES")
    own.run("iptables", "-t", "nat", "-N", "KUBE-SVC-A")
    own.run("iptables", "-t", "nat", "-A", "KUBE-SERVICES", "-j", "KUBE-SVC-A")
    own.run("iptables", "-t", "nat", "-A", "PREROUTING", "-j", "KUBE-SERVICES")
    assert "towpath0" in own.run("ip", "-brief", "link")
    assert own.run("cat", _SWITCH).strip() == "1"

    python(own, tmp_path, _REMOVE)
    assert rules(own) == [others]
    assert "towpath0" not in own.run("ip", "-brief", "link")
    assert own.run("cat", _SWITCH).strip() == "0"


def test_a_node_of_somebody_elses_is_refused(own: Apart, tmp_path: Path) -> None:
    """Where kube-proxy has rules already the lab makes nothing, and says why."""
    own.run("iptables", "-t", "nat", "-N", "KUBE-SERVICES")
    with pytest.raises(AssertionError, match="is a Kubernetes node already"):
        python(own, tmp_path, _MAKE)
    assert "towpath0" not in own.run("ip", "-brief", "link")


def test_another_labs_network_is_left_alone(own: Apart, tmp_path: Path) -> None:
    """A second lab is refused where a first one is up, and taking the second down does nothing to the first."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    python(own, tmp_path / "first", _MAKE)
    before = rules(own)
    with pytest.raises(AssertionError, match="another lab's cluster"):
        python(own, tmp_path / "second", _MAKE)
    python(own, tmp_path / "second", _REMOVE)
    assert rules(own) == before
    assert "towpath0" in own.run("ip", "-brief", "link")


def test_a_network_in_use_is_refused(own: Apart, tmp_path: Path) -> None:
    """Where a route of somebody else's covers the pods' addresses the lab makes nothing, and says why."""
    own.run("ip", "link", "add", "theirs", "type", "bridge")
    own.run("ip", "address", "add", "172.29.78.7/24", "dev", "theirs")
    own.run("ip", "link", "set", "theirs", "up")
    with pytest.raises(AssertionError, match=r"172\.29\.78\.0/24 is used on this machine"):
        python(own, tmp_path, _MAKE)


def test_whatever_runs_in_the_groups_is_ended(tmp_path: Path) -> None:
    """A process whose starter is long gone is found by its control group, ended, and the group is removed."""
    group = Places(tmp_path).group
    make_groups(group)
    sleeper = subprocess.Popen(["sleep", "600"])
    inner = hierarchies()[0] / group / "pods"
    inner.mkdir()
    (inner / "cgroup.procs").write_text(str(sleeper.pid))
    assert set(members(group)) == {sleeper.pid}
    remove_groups(group)
    assert sleeper.wait(timeout=10) == -9
    assert not any((hierarchy / group).exists() for hierarchy in hierarchies())
