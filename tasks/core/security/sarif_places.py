"""Where a SARIF run's results are: from URIs, their bases and its list of files to paths of the target."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tasks.core.security.scanner import SCRATCH, TARGET
from tasks.core.security.sightings import Spot

Json = Mapping[str, Any]

# Bases may rest on bases; a longer chain is a ring.
_DEEPEST = 10


@dataclass(frozen=True, slots=True)
class Seen:
    """A place, and the resource there where the run names one."""

    spot: Spot
    resource: str = ""


class Places:
    """The places of one run; `paths` are all that were met."""

    def __init__(self, run: Json) -> None:
        self._bases: Json = run.get("originalUriBaseIds") or {}
        self._artifacts = run.get("artifacts") or ()
        self._logical = run.get("logicalLocations") or ()
        self.paths: dict[tuple[str, str], str] = {}

    def seen(self, location: Json) -> Seen:
        physical = location.get("physicalLocation") or {}
        region = physical.get("region") or {}
        path = self._path(physical.get("artifactLocation") or {})
        first, last = region.get("startLine"), region.get("endLine")
        spot = Spot(path=path, line=_line(first), end_line=_line(first if last is None else last))
        return Seen(spot, self._resource(location))

    def _resource(self, location: Json) -> str:
        for each in location.get("logicalLocations") or ():
            index = each.get("index", -1)
            named = self._logical[index] if 0 <= index < len(self._logical) else each
            if found := each.get("fullyQualifiedName") or named.get("fullyQualifiedName") or each.get("name"):
                return str(found)
        return ""

    def _path(self, artifact: Json) -> str:
        index = artifact.get("index", -1)
        if "uri" not in artifact and 0 <= index < len(self._artifacts):
            artifact = self._artifacts[index].get("location") or {}
        key = (str(artifact.get("uri") or ""), str(artifact.get("uriBaseId") or ""))
        if key not in self.paths:
            self.paths[key] = below_target(self._resolved(*key))
        return self.paths[key]

    def _resolved(self, uri: str, base: str) -> str:
        """The URI behind all its bases; a base that is not told is the target's root."""
        for _ in range(_DEEPEST):
            if not base or ":" in uri.partition("/")[0] or uri.startswith("/"):
                return uri
            told = self._bases.get(base) or {}
            uri, base = _joined(str(told.get("uri") or ""), uri), str(told.get("uriBaseId") or "")
        raise ValueError("the bases of its URIs are a ring")


def _joined(base: str, uri: str) -> str:
    return f"{base.rstrip('/')}/{uri}" if base else uri


def _line(number: Any) -> int | None:
    if number is None:
        return None
    if not isinstance(number, int):
        raise TypeError("a line is no number")
    return number if number > 0 else None


def below_target(uri: str) -> str:
    """A URI, or a path that was written as one, as a path from the target's root; one outside it stays absolute."""
    scheme, colon, rest = uri.partition(":")
    is_file = bool(colon) and scheme.lower() == "file"
    if colon and not is_file and "/" not in scheme and rest.startswith("//"):
        return uri
    path = unquote(rest if is_file else uri)
    if is_file and path.startswith("//"):
        # NOTE: what stands between // and the next slash is a host: empty or localhost, and no part of the path.
        path = "/" + path[2:].partition("/")[2]
    bare = posixpath.normpath(path.replace("\\", "/")) if path else ""
    for root in (TARGET, SCRATCH):
        if bare == root or bare.startswith(f"{root}/"):
            return bare.removeprefix(root).lstrip("/")
    return "" if bare == "." else bare
