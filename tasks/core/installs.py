"""Why an installation failed, read from what the package manager said.

A network that was away for a moment is worth another try; a lock file that does not fit its manifest, or a Python
this machine lacks, is not, and says what to do.
"""

import re
from dataclasses import dataclass

from tasks.core.projects import Manager
from tasks.core.tools.contract import first_lines, plain

_NETWORK = re.compile(
    r"ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|ERR_SOCKET|socket hang up"
    r"|network (is unreachable|error|timeout)|error sending request|dns error|failed to lookup address"
    r"|Connection (refused|reset|aborted)|connection timed out|operation timed out|Max retries exceeded"
    r"|Temporary failure in name resolution|HTTP (status|error).{0,40}\b5\d\d\b|\b50[234] (Bad|Service|Gateway)",
    re.IGNORECASE,
)
_INTERPRETER = re.compile(
    r"No interpreter found for (?:Python )?(?P<asked>\S+.*?) in |pyenv: version `(?P<shim>[^']+)' is not installed",
    re.IGNORECASE,
)
_OLD_NODE = re.compile(
    r"ERR_UNKNOWN_BUILTIN_MODULE|EBADENGINE.{0,80}error|requires at least Node|engine \"node\" is incompatible"
)
_STALE = re.compile(
    r"lockfile.{0,60}(out of date|outdated|not up to date|needs to be updated)|npm ci.{0,80}can only install"
    r"|not in sync|ERR_PNPM_OUTDATED_LOCKFILE|YN0028|pyproject.toml changed significantly",
    re.IGNORECASE,
)
_NO_WAY_OUT = re.compile(r"towpath: (?P<place>\S+) is no registry that this room may reach")
_SPACE = re.compile(r"No space left on device|ENOSPC", re.IGNORECASE)


@dataclass(frozen=True)
class InstallTrouble:
    reason: str
    remedy: str
    is_temporary: bool = False


def explain_install(manager: Manager, log: str, *, ending: str, log_path: str) -> InstallTrouble:
    """What a failed installation means; `ending` says how the process ended when it was not by an exit code."""
    text = plain(log)
    if found := _INTERPRETER.search(text):
        version = (found["asked"] or found["shim"]).strip("`' ")
        return InstallTrouble(
            f"no Python {version} on this machine",
            f"install one (uv python install '{version}'), or set backend.python in towpath.toml",
        )
    if _OLD_NODE.search(text):
        return InstallTrouble(
            f"this machine's Node is too old for {manager.value} or a package: {_last(text)}", "install a newer Node"
        )
    if found := _NO_WAY_OUT.search(text):
        return InstallTrouble(
            f"a stranger's installation may reach registries, and {found['place']} is none",
            f"if it is one, name it in TOWPATH_REGISTRIES where the worker runs: TOWPATH_REGISTRIES={found['place']}",
        )
    if _SPACE.search(text):
        return InstallTrouble(
            "the disk is full", "free some space: towpath's folder and the package managers' caches are safe to delete"
        )
    if _STALE.search(text):
        return InstallTrouble(
            f"the lock file does not fit its manifest: {_last(text)}", f"lock again with {manager.value} and commit it"
        )
    if _NETWORK.search(text):
        return InstallTrouble(
            f"the package registry could not be reached: {_network_line(text)}",
            "see towpath doctor; run again when it answers",
            True,
        )
    return InstallTrouble(f"{manager.value} could not install: {ending or _last(text)}", f"see {log_path}")


def _network_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if _NETWORK.search(line)]
    return lines[0][:300]


def _last(text: str) -> str:
    wrong = [
        line
        for line in text.splitlines()
        if re.search(r"error|failed|×|not found|conflict|unsatisf", line, re.IGNORECASE)
    ]
    return first_lines("\n".join(wrong or text.splitlines()[-3:]), 3) or "it said nothing"
