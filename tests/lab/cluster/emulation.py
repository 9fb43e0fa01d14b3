"""Emulation of arm64: qemu as the kernel's interpreter for its programs, in containers and builds as well.

It promises that a registration of somebody else's is used as it is, and that our own one, and the mount it needed, are
gone after `remove`.
"""

import json
from pathlib import Path

from tests.lab.cluster.daemons import boot
from tests.lab.cluster.places import Places
from tests.lab.cluster.programs import architecture
from tests.lab.engine import run

BINFMT = Path("/proc/sys/fs/binfmt_misc")
NAME = "towpath-lab-aarch64"
INTERPRETER = Path("/usr/bin/qemu-aarch64-static")
# A 64-bit little-endian ELF program or shared object (bit 0 of its type is not looked at) for machine 0xb7.
_MAGIC = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00"
_MASK = b"\xff" * 7 + b"\x00" + b"\xff" * 8 + b"\xfe\xff\xff\xff"


def make(places: Places) -> None:
    if architecture() == "arm64" or is_registered():
        return
    mark = places.home / "emulation.json"
    is_mounted = (BINFMT / "register").exists()
    mark.write_text(json.dumps({"boot": boot(), "mounted": not is_mounted}))
    if not is_mounted:
        run("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT)
    if not is_registered():
        # F: the kernel opens qemu now, so that it is found from inside any container.
        (BINFMT / "register").write_text(f":{NAME}:M::{escaped(_MAGIC)}:{escaped(_MASK)}:{INTERPRETER}:F")


def escaped(content: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in content)


def is_registered() -> bool:
    """Whether any interpreter for arm64 is known that works inside a container."""
    known = (entry for entry in BINFMT.glob("*aarch64*"))
    return any("enabled" in (text := entry.read_text()) and "F" in flags(text) for entry in known)


def flags(entry: str) -> str:
    return "".join(line.removeprefix("flags: ") for line in entry.splitlines() if line.startswith("flags: "))


def remove(places: Places) -> None:
    """Take back what `make` of this lab has done, and only that."""
    mark = places.home / "emulation.json"
    if not mark.exists():
        return
    done = json.loads(mark.read_text())
    mark.unlink()
    # What was made before the machine was started again is gone already.
    if done["boot"] == boot():
        if (BINFMT / NAME).exists():
            (BINFMT / NAME).write_text("-1")
        if done["mounted"] and (BINFMT / "register").exists():
            run("umount", "--lazy", BINFMT)
