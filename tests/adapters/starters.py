"""The starter of supervisors that this process has; it may have other children, such as an engine other tests use."""

import psutil


def starters() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if _is_starter(child)]


def _is_starter(child: psutil.Process) -> bool:
    """A child that has ended has no command line any more."""
    try:
        return any("lifeline.py" in word for word in child.cmdline())
    except psutil.NoSuchProcess:
        return False
