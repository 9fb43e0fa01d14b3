"""The programs of the cluster: Debian's packages, and what is built from Go modules, once per version.

It promises that a program is built again only when its sources or its version change: each stands in the lab's folder
under a name that holds a digest of them. Versions are pinned in the go.mod of each folder.
"""

import hashlib
import json
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cluster.places import Places
from tests.lab.engine import LabMissingError, run, say

SOURCES = Path(__file__).parent
KUBERNETES = "1.34.4"
GATEWAY_API = "sigs.k8s.io/gateway-api@v1.5.1"
_VERSION = "k8s.io/component-base/version"
_LINK_KUBERNETES = (
    f"-X {_VERSION}.gitVersion=v{KUBERNETES} -X {_VERSION}.gitMajor={KUBERNETES.split('.')[0]} "
    f"-X {_VERSION}.gitMinor={KUBERNETES.split('.')[1]}"
)
KEPT_VERSIONS = 3
# Debian packages, each with a file that shows it is there.
PACKAGES = {
    "containerd": "/usr/bin/containerd",
    "runc": "/usr/sbin/runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "conntrack": "/usr/sbin/conntrack",
    "ipset": "/usr/sbin/ipset",
    "iptables": "/usr/sbin/iptables",
    "iproute2": "/usr/sbin/ip",
    "debootstrap": "/usr/sbin/debootstrap",
    "docker-registry": "/usr/bin/docker-registry",
    "docker.io": "/usr/bin/docker",
    "qemu-user-static": "/usr/bin/qemu-aarch64-static",
}


@dataclass(frozen=True)
class Program:
    """A Go program: a package that the module in one of our folders has, or names as a tool."""

    name: str
    package: str
    folder: str
    link: str = ""

    @property
    def image(self) -> str:
        """The name of the image that holds it, in the lab's registry."""
        return f"{self.name}:{self.key}"

    @property
    def key(self) -> str:
        sources = sorted(file for file in (SOURCES / self.folder).rglob("*") if file.suffix in (".go", ".mod", ".sum"))
        parts = [self.package, self.link, *(file.read_text() for file in sources)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


HYPERKUBE = Program("hyperkube", ".", "hyperkube", _LINK_KUBERNETES)
# One module for what runs in pods and one for the builder: what they share is compiled once.
PAUSE = Program("pause", "./pause", "in_pods")
COREDNS = Program("coredns", "./coredns", "in_pods")
STORAGE = Program("local-path-provisioner", "github.com/rancher/local-path-provisioner", "in_pods")
METRICS_SERVER = Program("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server", "in_pods")
BUILDKITD = Program("buildkitd", "github.com/moby/buildkit/cmd/buildkitd", "buildkit")
BUILDX = Program("buildx", "github.com/docker/buildx/cmd/buildx", "buildkit")
PROGRAMS = (HYPERKUBE, PAUSE, COREDNS, STORAGE, METRICS_SERVER, BUILDKITD, BUILDX)


def install_packages() -> None:
    missing = [package for package, file in PACKAGES.items() if not has_program(file)]
    if missing:
        say(f"installing {', '.join(missing)}")
        # RUNLEVEL: the packages' own services stay stopped, only our daemons are started.
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        run("apt-get", "update", "-qq", environment=quiet)
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, environment=quiet)


def has_program(file: str) -> bool:
    return Path(file).exists() or (file.split("/")[2] in ("bin", "sbin") and bool(shutil.which(Path(file).name)))


def built(places: Places, program: Program) -> Path:
    """The program, built when this version of it is not there yet."""
    target = places.programs / f"{program.name}-{program.key}"
    if not target.exists():
        build(places, program, target)
    return target


def build(places: Places, program: Program, target: Path) -> None:
    say(f"building {program.name} (minutes on two cores, once)")
    places.programs.mkdir(parents=True, exist_ok=True)
    flags = ("-trimpath", "-ldflags", f"-s -w {program.link}")
    fresh = places.programs / f".building-{program.name}"
    shutil.rmtree(fresh, ignore_errors=True)
    goal = ("-o", fresh / program.name, program.package)
    run("go", "-C", SOURCES / program.folder, "build", *flags, *goal, environment={"CGO_ENABLED": "0"})
    (fresh / program.name).replace(target)
    shutil.rmtree(fresh)
    # Another worktree may use another version of this lab: the last few are kept.
    for older in sorted(versions(places, program), key=lambda file: file.stat().st_mtime)[:-KEPT_VERSIONS]:
        older.unlink()


def versions(places: Places, program: Program) -> list[Path]:
    return [file for file in places.programs.glob(f"{program.name}-*") if len(file.stem) == len(program.name) + 13]


def module_folder(module: str) -> Path:
    """Where Go keeps a module's files."""
    done = subprocess.run(["go", "mod", "download", "-json", module], capture_output=True, text=True)
    if done.returncode:
        raise LabMissingError(f"the lab's {module} could not be had: {done.stdout.strip()[-300:]}")
    return Path(json.loads(done.stdout)["Dir"])


def make_kubectl(places: Places) -> None:
    places.kubectl.parent.mkdir(parents=True, exist_ok=True)
    fresh = places.kubectl.with_name(".kubectl")
    fresh.write_text(f'#!/bin/sh\nexec "{built(places, HYPERKUBE)}" kubectl "$@"\n')
    fresh.chmod(0o755)
    fresh.replace(places.kubectl)


def kubectl(places: Places, *arguments: str, given: str | None = None, seconds: float = 120.0) -> str:
    """kubectl of the cluster's own version, as its administrator."""
    argv = [places.kubectl, f"--kubeconfig={places.kubeconfig}", *arguments]
    # A cache of its own: kubectl keeps what a server can do in ~/.kube.
    environment = {
        "HOME": str(places.home),
        "KUBECACHEDIR": str(places.home / "kubectl-cache"),
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        list(map(str, argv)), env=environment, input=given, capture_output=True, text=True, timeout=seconds
    )
    if done.returncode:
        raise LabMissingError(f"kubectl {' '.join(arguments[:3])}: {done.stderr.strip()[-500:]}")
    return done.stdout


def architecture() -> str:
    """This machine's, as container images call it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
