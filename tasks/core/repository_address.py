"""Whether two addresses are of one repository, however each was written.

It solves that a run names its target as a person typed it, and a forge by its clone URL. It must never take two
repositories for one for their same last name: who may speak for one of them could then answer for the other.
"""

import re
from urllib.parse import urlsplit

_SHORT = re.compile(r"^(?:[^/@]+@)?([^/:]{2,}):(?!//)(.+)$")
_USUAL_PORTS = {"https": 443, "http": 80, "ssh": 22, "git": 9418}


def is_same_repository(one: str, other: str) -> bool:
    """Of two addresses, or two paths; an empty one is of none."""
    return bool(one and other) and _plain(one) == _plain(other)


def _plain(address: str) -> tuple[str, str]:
    """Host and path; a host's paths are compared as GitHub does, without regard to case, a folder's are not."""
    address = address.strip()
    if "://" not in address:
        short = _SHORT.match(address)
        return (short[1].casefold(), _on_host(short[2])) if short else ("", _path(address))
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return address, ""
    if not parts.hostname:
        return "", _path(parts.path)
    usual = port is None or port == _USUAL_PORTS.get(parts.scheme)
    return parts.hostname.casefold() + ("" if usual else f":{port}"), _on_host(parts.path)


def _on_host(path: str) -> str:
    return _path(path).lstrip("/").casefold()


def _path(path: str) -> str:
    rooted = "/" if path.startswith("/") else ""
    return rooted + path.strip("/").removesuffix(".git").rstrip("/")
