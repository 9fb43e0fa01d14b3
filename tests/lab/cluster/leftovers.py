"""Everything a node leaves behind on its machine, cleared away.

It solves that a killed node cannot tidy up: pods go on without it, their mounts and namespaces stay. What is removed
is found by marks that only this lab has (its control groups, its sockets' path, its network's name), never by a
program's name. It promises to work whatever of the cluster still lives.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.lab.cluster.groups import remove_groups
from tests.lab.cluster.places import Places
from tests.lab.engine import remove_tree

CRI = "io.containerd.grpc.v1.cri"
_END_SECONDS = 10.0


def remove(places: Places) -> None:
    remove_shims(places)
    remove_groups(places.group)
    remove_shim_sockets(places)
    remove_network_results(places)
    remove_what_the_kubelet_keeps_elsewhere(places)
    for folder in (places.sockets, places.run):
        remove_tree(folder)


def remove_shims(places: Places) -> None:
    deadline = time.monotonic() + _END_SECONDS
    while pids := list(shims(places)):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def shims(places: Places) -> Iterator[int]:
    """The processes that containerd put between itself and our pods: they name our containerd's socket."""
    address = str(places.containerd)
    return (pid for pid, argv in processes() if address in argv and Path(argv[0]).name.startswith("containerd-shim"))


def processes() -> Iterator[tuple[int, list[str]]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                words = folder.joinpath("cmdline").read_bytes().decode(errors="replace").split("\0")
                yield int(folder.name), words


def remove_shim_sockets(places: Places) -> None:
    for file in (places.sockets / "containerd" / "io.containerd.runtime.v2.task").glob("*/*/address"):
        socket = Path(file.read_text().strip().removeprefix("unix://"))
        if socket.is_relative_to("/run/containerd/s"):
            socket.unlink(missing_ok=True)
    for empty in ("/run/containerd/s", "/run/containerd"):
        with suppress(OSError):
            Path(empty).rmdir()


def remove_network_results(places: Places) -> None:
    """What CNI keeps of each pod under a folder that containerd lets nobody choose."""
    results = Path("/var/lib/cni/results")
    for container in pods(places):
        (results / f"cni-loopback-{container}-lo").unlink(missing_ok=True)
    for result in results.glob(f"{places.group}-*"):
        result.unlink()
    for empty in (results, results.parent):
        with suppress(OSError):
            empty.rmdir()


def remove_what_the_kubelet_keeps_elsewhere(places: Places) -> None:
    """A link to each container's log, and the socket for device plugins, whose places nobody can choose."""
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(places.pod_logs):
            link.unlink()
    devices = Path("/var/lib/kubelet/device-plugins")
    if {file.name for file in devices.glob("*")} == {"kubelet.sock"} and not any(kubelets()):
        (devices / "kubelet.sock").unlink()
    for empty in (Path("/var/log/containers"), devices, devices.parent):
        with suppress(OSError):
            empty.rmdir()


def kubelets() -> Iterator[int]:
    """Whoever else may listen on that socket, the lab's or a real node's."""
    return (pid for pid, argv in processes() if "kubelet" in (Path(argv[0]).name, *argv[1:2]))


def pods(places: Places) -> list[str]:
    return [folder.name for folder in (places.run / "containerd" / CRI / "sandboxes").glob("*")]
