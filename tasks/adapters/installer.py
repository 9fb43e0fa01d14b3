"""uv, which comes with Towpath as a locked dependency, so that every machine installs with the same one."""

import shutil
import sys
from pathlib import Path


def find_uv() -> Path:
    """The uv beside this interpreter, else the one on PATH, else the bare name, which then cannot be started."""
    beside = Path(sys.executable).with_name("uv")
    return beside if beside.exists() else Path(shutil.which("uv") or "uv")
