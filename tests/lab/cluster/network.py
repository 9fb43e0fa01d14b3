"""The node's network: a bridge that holds the node's own address, the packet filter's rules, the kernel's switches.

It solves that a node changes the machine it runs on. What is changed is written down first and put back by `remove`:
the bridge, our rules and those that kube-proxy, the kubelet and CNI add, and the switches as they were. It must never
touch a rule or an interface of anybody else, and refuses a machine that already is a Kubernetes node.
"""

import json
import re
import subprocess
from pathlib import Path

from tests.lab.cluster.daemons import boot
from tests.lab.cluster.places import BRIDGE, NODE_ADDRESS, POD_NETWORK, SERVICE_NETWORK, Places
from tests.lab.engine import LabMissingError, run

MARK = "towpath-lab"
_OF_A_NODE = re.compile(rf"KUBE-|CNI-|{MARK}")
SWITCHES = {
    "net/ipv4/ip_forward": "1",
    # Without it the answer of a pod to a pod goes over the bridge around the service's address translation.
    "net/bridge/bridge-nf-call-iptables": "1",
    "net/bridge/bridge-nf-call-ip6tables": "1",
    # The two that the kubelet sets by itself, kept so that they can be put back.
    "vm/overcommit_memory": "",
    "kernel/panic": "",
    "kernel/panic_on_oops": "",
    "kernel/keys/root_maxkeys": "",
    "kernel/keys/root_maxbytes": "",
}


def make(places: Places) -> None:
    kept = places.home / "switches.json"
    if not is_ours(kept):
        refuse_a_taken_network()
        keep_switches(kept)
    set_switches()
    if not has_bridge():
        run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "replace", f"{NODE_ADDRESS}/{POD_NETWORK.split('/')[1]}", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    # The machine itself reaches services even when it has no default route.
    run("ip", "route", "replace", SERVICE_NETWORK, "dev", BRIDGE)
    for table, rule in own_rules():
        if not succeeds("iptables", "-w", "-t", table, "-C", *rule):
            run("iptables", "-w", "-t", table, "-I", *rule)


def own_rules() -> list[tuple[str, list[str]]]:
    said = ["-m", "comment", "--comment", MARK, "-j"]
    return [
        # Where another engine has set the policy to DROP, pods' packets would die.
        ("filter", ["FORWARD", "-i", BRIDGE, *said, "ACCEPT"]),
        ("filter", ["FORWARD", "-o", BRIDGE, *said, "ACCEPT"]),
        ("nat", ["POSTROUTING", "-s", POD_NETWORK, "!", "-o", BRIDGE, *said, "MASQUERADE"]),
    ]


def has_bridge() -> bool:
    # Not /sys/class/net: that shows the network of whoever mounted it.
    return succeeds("ip", "link", "show", "dev", BRIDGE)


def is_ours(kept: Path) -> bool:
    """Whether this lab made the network, since the machine was started."""
    return kept.exists() and json.loads(kept.read_text())["boot"] == boot()


def refuse_a_taken_network() -> None:
    if has_bridge():
        raise LabMissingError("another lab's cluster runs on this machine, or was not taken down")
    for network in (POD_NETWORK, SERVICE_NETWORK):
        if run("ip", "route", "show", "to", "root", network).strip():
            raise LabMissingError(f"the lab's network {network} is used on this machine already")
    if any("KUBE-SERVICES" in rule for rule in rules("iptables", "nat")):
        raise LabMissingError("this machine is a Kubernetes node already: the lab would disturb it")


def remove(places: Places) -> None:
    kept = places.home / "switches.json"
    if not is_ours(kept):
        return
    if has_bridge():
        run("ip", "link", "delete", BRIDGE)
    for program in ("iptables", "ip6tables"):
        for table in ("nat", "filter", "mangle", "raw"):
            remove_rules(program, table)
    put_back(kept)


def remove_rules(program: str, table: str) -> None:
    """Take out, in one step, every rule and chain that a node added."""
    found = [line for line in rules(program, table) if _OF_A_NODE.search(line)]
    chains = [line[1:].split()[0] for line in found if line.startswith(":")]
    ours = [line for line in found if line.startswith("-A ")]
    if not chains and not ours:
        return
    # Rules of our chains go with a flush; those in the kernel's own chains one by one.
    singles = ["-D" + line[2:] for line in ours if line.split()[1] not in chains]
    emptied = [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains]
    steps = "\n".join([f"*{table}", *(f":{chain} - [0:0]" for chain in chains), *singles, *emptied, "COMMIT", ""])
    subprocess.run([f"{program}-restore", "-w", "--noflush"], input=steps, text=True, check=True)


def rules(program: str, table: str) -> list[str]:
    done = subprocess.run([f"{program}-save", "-t", table], capture_output=True, text=True)
    return done.stdout.splitlines()


def keep_switches(kept: Path) -> None:
    kept.write_text(json.dumps({"boot": boot(), "found": {name: read(name) for name in SWITCHES}}))


def set_switches() -> None:
    for name, value in SWITCHES.items():
        if value and read(name) not in (None, value):
            Path("/proc/sys", name).write_text(value)


def put_back(kept: Path) -> None:
    for name, value in json.loads(kept.read_text())["found"].items():
        if value is not None and read(name) != value:
            Path("/proc/sys", name).write_text(value)
    kept.unlink()


def read(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def succeeds(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True).returncode == 0
