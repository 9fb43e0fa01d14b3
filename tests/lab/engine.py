"""A real container engine for tests, on a machine that has no images from outside.

`python -m tests.lab.engine up | down | status`, or `running()` for a fixture. A user's own engine that answers is taken
first. Else, as root on Linux: Debian's dockerd on a socket and a data folder of its own, buildx built from its Go
module, and base images made by debootstrap. Everything is cached under one folder ($TOWPATH_LAB, else
~/.cache/towpath-lab); a second start takes about a second.

It must never touch an engine, a plugin folder or a configuration that is the user's, and it never passes silently: what
cannot be had here is a LabMissingError with one line of reason.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

BUILDX = "github.com/docker/buildx/cmd/buildx@v0.38.2"
PYTHON_IMAGE = "towpath-lab/python:bookworm"
NODE_IMAGE = "towpath-lab/node:bookworm"
DEBIAN = "bookworm"
# What our own images need of Debian, each with the program that shows it is there.
PACKAGES = {"docker.io": "dockerd", "containerd": "containerd", "runc": "runc", "debootstrap": "debootstrap"}
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
# Not one of Docker's own defaults, which a user's bridges would be in.
BRIDGE_ADDRESS = "172.29.77.1/24"
START_SECONDS = 60.0


class LabMissingError(Exception):
    """No engine can be had here, and why, in one line fit for pytest.skip."""


@dataclass(frozen=True)
class LabEngine:
    """What a test needs to know: the environment that reaches the engine, and how to build in it."""

    environment: Mapping[str, str]
    python_image: str
    node_image: str
    network: str
    secrets: tuple[str, ...] = ()

    def build_arguments(self, name: str) -> dict[str, str]:
        """The base images of the shop's `backend` or `frontend`."""
        if name == "backend":
            return {"BASE_IMAGE": self.python_image}
        return {"NODE_IMAGE": self.node_image, "SERVE_IMAGE": self.node_image}


@dataclass(frozen=True)
class Lab:
    """The folders of our own engine."""

    home: Path
    sockets: Path = field(init=False)

    def __post_init__(self) -> None:
        # A socket's path may have 107 characters, and the home may be a deep temporary folder.
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:8]
        object.__setattr__(self, "sockets", Path("/run") / f"towpath-lab-{digest}")

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCKER_HOST": f"unix://{self.sockets}/docker.sock", "DOCKER_CONFIG": str(self.home / "docker-config")}

    @property
    def buildx(self) -> Path:
        return self.home / "docker-config" / "cli-plugins" / "docker-buildx"


def lab_home(environment: Mapping[str, str] = os.environ) -> Path:
    cache = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(environment.get("TOWPATH_LAB") or Path(cache) / "towpath-lab").absolute()


def find_own_engine() -> LabEngine | None:
    """The user's engine, which reaches a registry of its own for base images."""
    if not shutil.which("docker") or not answers({}) or not has_buildx({}):
        return None
    return LabEngine({}, "python:3.12-slim", "node:22-slim", network="default")


def up() -> LabEngine:
    """Start the engine unless it runs, with everything it needs; raises LabMissingError."""
    if own := find_own_engine():
        return own
    if reason := why_not():
        raise LabMissingError(reason)
    lab = Lab(lab_home())
    lab.home.mkdir(parents=True, exist_ok=True)
    with locked(lab.home / "lock"):
        install_packages()
        build_buildx(lab)
        start(lab)
        make_images(lab)
    secrets = (f"id=ca,src={AUTHORITIES}",) if AUTHORITIES.exists() else ()
    return LabEngine(lab.environment, PYTHON_IMAGE, NODE_IMAGE, network="host", secrets=secrets)


def down(*, purge: bool = False) -> None:
    """Stop our own engine; `purge` removes its cache as well."""
    lab = Lab(lab_home())
    for name in ("dockerd", "containerd"):
        stop(lab.home / f"{name}.pid", name)
    shutil.rmtree(lab.sockets, ignore_errors=True)
    if purge:
        # The cluster's folder is its own to remove: it may run.
        for entry in (entry for entry in lab.home.glob("*") if entry.name != "cluster"):
            remove_tree(entry) if entry.is_dir() else entry.unlink()


@contextmanager
def running() -> Iterator[LabEngine]:
    """The engine for the length of a test session: the last session out stops it, if a session started it."""
    lab = Lab(lab_home())
    lab.home.mkdir(parents=True, exist_ok=True)
    mark = lab.home / "started-by-a-session"
    with (lab.home / "sessions").open("w") as sessions:
        fcntl.flock(sessions, fcntl.LOCK_SH)
        if not answers(lab.environment):
            mark.touch()
        yield up()
        with suppress(BlockingIOError):
            fcntl.flock(sessions, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if mark.exists():
                mark.unlink()
                down()


def why_not() -> str:
    if not sys.platform.startswith("linux"):
        return "no container engine answers, and the lab's own needs Linux"
    if os.geteuid() != 0:
        return "no container engine answers, and the lab's own needs root"
    if not shutil.which("apt-get"):
        return "no container engine answers, and the lab's own is made of Debian packages"
    missing = [name for name in ("go", "node", "npm") if not shutil.which(name)]
    return f"the lab's engine needs {' and '.join(missing)}" if missing else ""


def answers(environment: Mapping[str, str]) -> bool:
    return succeeds(environment, "docker", "version")


def has_buildx(environment: Mapping[str, str]) -> bool:
    return succeeds(environment, "docker", "buildx", "version")


def succeeds(environment: Mapping[str, str], *argv: str) -> bool:
    try:
        found = subprocess.run(
            argv, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.returncode == 0


def run(*argv: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a step of the set-up; a failure ends in its last lines."""
    found = subprocess.run(
        list(map(str, argv)),
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if found.returncode:
        last = " / ".join(found.stdout.strip().splitlines()[-5:])
        raise LabMissingError(f"the lab's engine: {argv[0]} ended with {found.returncode}: {last}")
    return found.stdout


def install_packages() -> None:
    missing = [package for package, program in PACKAGES.items() if not shutil.which(program)]
    if not shutil.which("docker"):
        missing.append("docker.io")
    if missing:
        say(f"installing {', '.join(missing)}")
        # RUNLEVEL: the packages' own services stay stopped, only our engine is started.
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        run("apt-get", "update", "-qq", environment=quiet)
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, "iptables", environment=quiet)


def build_buildx(lab: Lab) -> None:
    if lab.buildx.exists() or has_buildx(lab.environment):
        return
    say("building buildx (two to four minutes, once)")
    binaries = lab.home / "bin"
    run("go", "install", "-ldflags", "-s -w", BUILDX, environment={"GOBIN": str(binaries), "CGO_ENABLED": "0"})
    lab.buildx.parent.mkdir(parents=True, exist_ok=True)
    (binaries / "buildx").replace(lab.buildx)


def start(lab: Lab) -> None:
    if answers(lab.environment):
        return
    for folder in (lab.home, lab.sockets):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_settings(lab)
    socket = lab.sockets / "containerd.sock"
    # What a killed one left would be taken for a sign of life.
    socket.unlink(missing_ok=True)
    spawn(lab, "containerd", "--config", lab.home / "containerd.toml", until=socket.exists)
    spawn(lab, "dockerd", "--config-file", lab.home / "dockerd.json", until=lambda: answers(lab.environment))


def write_settings(lab: Lab) -> None:
    (lab.home / "containerd.toml").write_text(
        "version = 2\n"
        f'root = "{lab.home / "containerd"}"\n'
        f'state = "{lab.sockets / "containerd"}"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{lab.sockets / "containerd.sock"}"\n'
    )
    settings = {
        "hosts": [lab.environment["DOCKER_HOST"]],
        "containerd": f"{lab.sockets / 'containerd.sock'}",
        "data-root": f"{lab.home / 'docker'}",
        "exec-root": f"{lab.sockets / 'docker'}",
        "pidfile": f"{lab.sockets / 'docker.pid'}",
        "bip": BRIDGE_ADDRESS,
        # The machine's packet filter stays as it is: ports are published by docker's own proxy, builds use the host's
        # network, and a container on trial reaches nothing but this machine.
        "iptables": False,
        "ip6tables": False,
        "ip-masq": False,
        "userland-proxy": True,
    }
    (lab.home / "dockerd.json").write_text(json.dumps(settings, indent=1))


def spawn(lab: Lab, name: str, *arguments: str | Path, until: Callable[[], bool]) -> None:
    """Start a daemon that outlives this process, and wait until it is of use."""
    log = lab.home / f"{name}.log"
    with log.open("wb") as output:
        argv = [name, *map(str, arguments)]
        daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    (lab.home / f"{name}.pid").write_text(str(daemon.pid))
    deadline = time.monotonic() + START_SECONDS
    while not until():
        if daemon.poll() is not None or time.monotonic() > deadline:
            last = " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
            raise LabMissingError(f"the lab's {name} does not start here: {last}")
        time.sleep(0.05)
    # It is meant to outlive us: no warning that nobody waited for it.
    daemon.returncode = 0


def is_running(pid_file: Path, name: str) -> bool:
    """Whether the process is there and is still the one we started: pids are used again."""
    with suppress(OSError, ValueError):
        process = Path("/proc") / str(int(pid_file.read_text()))
        return Path(process.joinpath("cmdline").read_bytes().split(b"\0")[0].decode()).name == name
    return False


def stop(pid_file: Path, name: str) -> None:
    """Ask it to stop, wait, then kill."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not is_running(pid_file, name):
            break
        with suppress(OSError):
            os.kill(int(pid_file.read_text()), number)
        deadline = time.monotonic() + 20.0
        while is_running(pid_file, name) and time.monotonic() < deadline:
            time.sleep(0.05)
    pid_file.unlink(missing_ok=True)


def make_images(lab: Lab) -> None:
    if not has_image(lab, PYTHON_IMAGE):
        say("making the Python base image (about a minute, once)")
        make_python_image(lab)
    if not has_image(lab, NODE_IMAGE):
        say("making the Node base image")
        make_node_image(lab)


def has_image(lab: Lab, reference: str) -> bool:
    return succeeds(lab.environment, "docker", "image", "inspect", reference)


def make_python_image(lab: Lab) -> None:
    root = lab.home / "rootfs"
    remove_tree(root)
    run("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", DEBIAN, root)
    for cache in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / cache, ignore_errors=True)
        (root / cache / "partial").mkdir(parents=True)
    archive = lab.home / "rootfs.tar"
    run("tar", "--numeric-owner", "-C", root, "-cf", archive, ".")
    run("docker", "import", archive, PYTHON_IMAGE, environment=lab.environment)
    archive.unlink()
    remove_tree(root)


def make_node_image(lab: Lab) -> None:
    """The Python base and this machine's node and npm, which run on Debian as they are."""
    context = lab.home / "node-context"
    shutil.rmtree(context, ignore_errors=True)
    binaries, modules = context / "usr/local/bin", context / "usr/local/lib/node_modules"
    binaries.mkdir(parents=True)
    shutil.copy2(Path(run("node", "-p", "process.execPath").strip()), binaries / "node")
    npm = Path(shutil.which("npm") or "npm").resolve().parent.parent
    shutil.copytree(npm, modules / "npm", symlinks=True)
    for name in ("npm", "npx"):
        (binaries / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
    (context / "Dockerfile").write_text(f"FROM {PYTHON_IMAGE}\nCOPY usr /usr\n")
    run("docker", "buildx", "build", "--load", "-t", NODE_IMAGE, context, environment=lab.environment)
    shutil.rmtree(context)


def remove_tree(root: Path) -> None:
    """Unmount what a killed debootstrap or dockerd left in a folder (/proc is not ours to empty), then remove it."""
    mounts = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    for mount in sorted((mount for mount in mounts if Path(mount).is_relative_to(root)), reverse=True):
        run("umount", "--lazy", mount)
    shutil.rmtree(root, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One set-up at a time, however many test sessions start at once."""
    # NOTE: not inherited by the daemons: descriptors are closed on exec.
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    sys.stderr.write(f"lab: {text}\n")


def main(arguments: list[str]) -> int:
    match arguments:
        case ["up"]:
            began = time.monotonic()
            engine = up()
            for name, value in engine.environment.items():
                sys.stdout.write(f"export {name}={value}\n")
            say(f"up in {time.monotonic() - began:.1f} s")
        case ["down"]:
            down()
        case ["down", "--purge"]:
            down(purge=True)
        case ["status"]:
            is_up = answers(Lab(lab_home()).environment)
            sys.stdout.write("running\n" if is_up else "stopped\n")
            return 0 if is_up else 1
        case _:
            sys.stderr.write("usage: python -m tests.lab.engine up | down [--purge] | status\n")
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabMissingError as error:
        sys.exit(str(error))
