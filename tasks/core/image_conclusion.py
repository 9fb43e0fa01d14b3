"""What a build of an image ended in, read from buildx's plain progress output."""

import re

from tasks.core.build_failure import failing_line
from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import PlannedCheck
from tasks.core.tools.contract import first_lines, plain

_ERROR = re.compile(r"^ERROR: (?:failed to (?:build|solve): )?(?P<message>.+)$", re.MULTILINE)
_DAEMON = re.compile(
    r"Cannot connect to the Docker daemon|error during connect|no builder|failed to find driver", re.IGNORECASE
)
_REGISTRY = re.compile(
    r"failed to resolve source metadata|failed to do request|dial tcp|i/o timeout|TLS handshake|no such host"
    r"|toomanyrequests|pull access denied|Temporary failure in name resolution|Could not resolve|connection refused",
    re.IGNORECASE,
)


def conclude_build(ending: int | str, log: str, check: PlannedCheck, *, dockerfile: str) -> Outcome:
    """The outcome of a build; `ending` is buildx's exit code, or in words why it has none; `dockerfile` its text.

    A base image that could not be fetched, or an engine that went away, says nothing about the Dockerfile: error.
    """
    if isinstance(ending, str):
        return Outcome(Verdict.ERROR, ending, remedy=check.reproduce)
    if ending == 0:
        return Outcome(Verdict.PASSED, "built")
    text = plain(log)
    found = _ERROR.search(text)
    message = found["message"].strip()[:400] if found else first_lines(text[-800:], 2)
    if _DAEMON.search(text):
        return Outcome(Verdict.ERROR, f"the container engine did not answer: {message}", remedy="towpath doctor")
    if _REGISTRY.search(message):
        remedy = "check the network and the image's name; a mirror can be set by build_arguments in towpath.toml"
        return Outcome(Verdict.ERROR, f"something could not be fetched: {message}", remedy=remedy)
    line = failing_line(text, dockerfile)
    where = f"{check.image.dockerfile}:{line}: " if line and check.image else ""
    return Outcome(Verdict.FAILED, f"{where}{message}", remedy=check.reproduce)
