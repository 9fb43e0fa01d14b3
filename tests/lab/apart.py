"""A network and a mount namespace of a test's own: what is done in them, the machine does not notice.

It promises that they are gone when the test is over, with every interface, rule and mount that was made in them.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_SECONDS = 300.0

needs_root = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="namespaces of one's own need root on Linux"
)


class Apart:
    """Runs programs in the namespaces that a waiting process holds."""

    def __init__(self, holder: int) -> None:
        self._enter = ("nsenter", f"--target={holder}", "--net", "--mount", f"--wdns={_ROOT}")

    def run(self, *argv: str, environment: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            [*self._enter, *argv],
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout[-500:]} {done.stderr[-1000:]}"
        return done.stdout


@contextmanager
def apart() -> Iterator[Apart]:
    made = ["unshare", "--net", "--mount", "--propagation", "private"]
    # Says a word when the namespaces are there, then holds them.
    holder = subprocess.Popen([*made, "sh", "-c", "echo; exec cat"], stdin=-1, stdout=-1, text=True)
    try:
        assert holder.stdout
        holder.stdout.readline()
        own = Apart(holder.pid)
        own.run("ip", "link", "set", "lo", "up")
        yield own
    finally:
        holder.kill()
        holder.communicate()
