"""Everything a node leaves behind on its machine, cleared away.

It solves that a killed node cannot tidy up: pods go on without it, their mounts and namespaces stay. What is removed
is found by marks that only this lab has (its control groups, its sockets' path, its network's name), never by a
program's name. It promises to work whatever of the cluster still lives.
"""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.lab.cluster.groups import remove_groups
from tests.lab.cluster.places import Places
from tests.lab.engine import remove_tree

_END_SECONDS = 10.0


def remove(places: Places) -> None:
    remove_shims(places)
    remove_groups(places.group)
    remove_shim_sockets(places)
    for folder in (places.sockets, places.run):
        remove_tree(folder)
    # Names that containerd and the kubelet do not let anybody choose.
    for result in Path("/var/lib/cni/results").glob(f"{places.group}-*"):
        result.unlink()
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(places.pod_logs):
            link.unlink()
    for file in ("kubelet.sock", "kubelet_internal_checkpoint", "DEPRECATION"):
        with suppress(OSError):
            Path("/var/lib/kubelet/device-plugins", file).unlink()
    for empty in (
        "/var/lib/kubelet/device-plugins",
        "/var/lib/kubelet",
        "/var/lib/cni/results",
        "/var/lib/cni",
        "/var/log/containers",
    ):
        with suppress(OSError):
            Path(empty).rmdir()


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
    address = os.fsencode(places.containerd)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                argv = folder.joinpath("cmdline").read_bytes().split(b"\0")
                if address in argv and Path(os.fsdecode(argv[0])).name.startswith("containerd-shim"):
                    yield int(folder.name)


def remove_shim_sockets(places: Places) -> None:
    for file in (places.sockets / "containerd").glob("io.containerd.runtime.v2.task/*/*/address"):
        socket = Path(file.read_text().strip().removeprefix("unix://"))
        if socket.is_relative_to("/run/containerd/s"):
            socket.unlink(missing_ok=True)


def remove_pod_logs(places: Places) -> None:
    """The last cluster's, when a new one begins."""
    shutil.rmtree(places.pod_logs, ignore_errors=True)
