"""`up` and `down` of the lab's cluster, as a whole.

`up` is safe to repeat and to run twice at once: it starts what does not run and leaves what does. `down` leaves nothing
on the machine but the lab's folder, whatever of the cluster was killed before.
"""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress

from tests.lab.cluster import (
    addons,
    base_images,
    builder,
    control_plane,
    emulation,
    leftovers,
    network,
    node,
    registry_daemon,
    router,
)
from tests.lab.cluster.certificates import make_certificates
from tests.lab.cluster.daemons import is_running, stop
from tests.lab.cluster.places import Places, places
from tests.lab.cluster.programs import PROGRAMS, built, install_packages, make_kubectl
from tests.lab.engine import LabMissingError, locked, remove_tree, say

DAEMONS = ("router", *node.DAEMONS, *control_plane.DAEMONS, "buildkitd", "registry")


def up() -> Places:
    """Start the cluster unless it runs, with everything it needs; raises LabMissingError."""
    own = places()
    if reason := why_not():
        raise LabMissingError(reason)
    own.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(own.home / "lock"):
        if not own.run.exists():
            # The last cluster's, kept until a new one begins.
            shutil.rmtree(own.pod_logs, ignore_errors=True)
        with ThreadPoolExecutor(max_workers=1) as aside:
            for name, step in steps(own, aside):
                with told(name):
                    step()
    return own


def prepare() -> None:
    """What takes longest: the programs, compiled. It starts nothing, and installs no package, since other tests may be
    doing that at the same moment. `up` waits until it is done."""
    own = places()
    if reason := why_not():
        raise LabMissingError(reason)
    own.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(own.home / "lock"):
        for program in PROGRAMS:
            built(own, program)


def steps(own: Places, aside: Executor) -> Iterator[tuple[str, Callable[[], object]]]:
    """In this order, each needs the ones before."""
    yield "packages", install_packages
    yield "network", lambda: network.make(own)
    yield "emulation", lambda: emulation.make(own)
    # Debian unpacks while Go compiles: neither keeps two cores busy alone.
    layers = [aside.submit(base_images.python_layer, own, name) for name in base_images.both()]
    yield "registry", lambda: registry_daemon.start(own)
    yield "certificates", lambda: make_certificates(own)
    yield "hyperkube", lambda: make_kubectl(own)
    yield "control plane", lambda: control_plane.start(own)
    yield "programs", lambda: [built(own, program) for program in PROGRAMS]
    yield "images of the add-ons", lambda: addons.push_images(own)
    yield "node", lambda: node.start(own)
    yield "Debian for this machine", layers[0].result
    yield "Python base image", lambda: base_images.make_first(own)
    yield "manifests", lambda: addons.apply(own)
    yield "router", lambda: router.start(own)
    yield "builder", lambda: builder.start(own)
    yield "Debian for the other architecture", layers[1].result
    yield "base images", lambda: base_images.make_rest(own)
    yield "add-ons", lambda: addons.wait(own)


@contextmanager
def told(name: str) -> Iterator[None]:
    """Say what took long."""
    began = time.monotonic()
    yield
    if (took := time.monotonic() - began) > 1.0:
        say(f"{name}: {took:.1f} s")


def down(*, purge: bool = False) -> None:
    """Stop our own cluster and clear its traces away; `purge` removes its cache as well."""
    own = places()
    if not own.home.exists():
        return
    with locked(own.home / "lock"):
        stop(own, *DAEMONS)
        leftovers.remove(own)
        emulation.remove(own)
        network.remove(own)
    if purge:
        remove_tree(own.home)


@contextmanager
def running() -> Iterator[Places]:
    """The cluster for the length of a test session: the last session out stops it, if a session started it."""
    own = places()
    own.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark = own.home / "started-by-a-session"
    with (own.home / "sessions").open("w") as sessions:
        fcntl.flock(sessions, fcntl.LOCK_SH)
        if not any(is_running(own, name) for name in DAEMONS):
            mark.touch()
        try:
            up()
        except LabMissingError:
            if mark.exists():
                mark.unlink()
                down()
            raise
        yield own
        with suppress(BlockingIOError):
            fcntl.flock(sessions, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if mark.exists():
                mark.unlink()
                down()


def is_up(own: Places) -> bool:
    return all(is_running(own, name) for name in DAEMONS) and control_plane.ready(own)()


def why_not() -> str:
    if not sys.platform.startswith("linux"):
        return "no KUBECONFIG is set, and the lab's own cluster needs Linux"
    if os.geteuid() != 0:
        return "no KUBECONFIG is set, and the lab's own cluster needs root"
    if not shutil.which("apt-get"):
        return "no KUBECONFIG is set, and the lab's own cluster is made of Debian packages"
    missing = [name for name in ("go", "node", "npm") if not shutil.which(name)]
    return f"the lab's cluster needs {' and '.join(missing)}" if missing else ""
