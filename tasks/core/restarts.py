"""How long to wait before something that ended is started again.

The first restart comes at once to a person's eye; something that keeps failing is tried ever more rarely, so that a
release that cannot start costs next to nothing, and never so rarely that a repaired dependency goes unnoticed.
"""

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0
# What stayed up this long is taken for healthy: its next failure is a first one.
HEALTHY_SECONDS = 60.0


def pause_seconds(failures: int) -> float:
    """Seconds to wait after this many failures in a row."""
    if failures <= 0:
        return 0.0
    doublings = min(failures - 1, 20)
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * float(2**doublings))


def failures_after(failures: int, *, seconds_up: float) -> int:
    """Failures in a row, now that something ended that was up and ready for this long."""
    return 1 if seconds_up >= HEALTHY_SECONDS else failures + 1
