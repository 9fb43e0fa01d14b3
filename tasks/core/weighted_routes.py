"""The router's configuration, as one function of what is wanted and what is there.

Both the supervisor and whoever sets a weight render it, so it must come out the same, byte for byte, for the same
values. It promises that only ready instances of wanted releases get traffic, that the longest path prefix decides, and
that a candidate whose share is 0 gets nothing, even when no stable instance is ready.

A marker that routes nothing carries the revision, so that one can ask the router what it follows.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.core.observed import Observed
from tasks.core.platform import Role
from tasks.core.wanted import Wanted

MARKER = "towpath"
_REVISION, _PERCENT, _DIGEST = "Towpath-Revision", "Towpath-Percent", "Towpath-Digest"
# A ten-thousandth of a percent is the finest share.
_WHOLE = 1_000_000
# Only what never reached an instance is sent again: enough times to outlast the moment in which one that crashed is
# still listed.
_RETRY = {"attempts": 8, "initialInterval": "30ms"}
# Instances close idle connections after 5 s (uvicorn, Node); a request on one that is just closing would fail.
_IDLE_SECONDS = "3s"
_TRANSPORT = {"forwardingTimeouts": {"dialTimeout": "2s", "idleConnTimeout": _IDLE_SECONDS}, "maxIdleConnsPerHost": 200}


@dataclass(frozen=True)
class Followed:
    """What the router says it follows."""

    revision: int
    candidate_percent: float
    digest: str


@dataclass(frozen=True)
class Routes:
    """The rendered configuration and the digest its marker carries."""

    content: bytes
    digest: str


def rendered(wanted: Wanted, observed: Observed) -> Routes:
    """The file the router reads: JSON, which is YAML too."""
    services: dict[str, Any] = {}
    for component in sorted({name for group in wanted.groups() for name in group.components}):
        services |= _services(component, wanted, observed)
    body = {
        "routers": _routers(wanted),
        "services": services,
        "middlewares": {"again": {"retry": _RETRY}},
        "serversTransports": {"instances": _TRANSPORT},
    }
    plain = json.dumps([body, wanted.revision, wanted.candidate_percent], sort_keys=True)
    digest = hashlib.sha256(plain.encode()).hexdigest()[:16]
    headers = {
        _REVISION: str(wanted.revision),
        _PERCENT: repr(wanted.candidate_percent),
        _DIGEST: digest,
    }
    body["middlewares"][MARKER] = {"headers": {"customResponseHeaders": headers}}
    kept = {name: value for name, value in body.items() if value}
    return Routes((json.dumps({"http": kept}, sort_keys=True, indent=1) + "\n").encode(), digest)


def followed(middleware: Mapping[str, Any]) -> Followed | None:
    """What the marker says, as the router's API tells it; None when it is not ours."""
    try:
        headers = middleware["headers"]["customResponseHeaders"]
        return Followed(int(headers[_REVISION]), float(headers[_PERCENT]), str(headers[_DIGEST]))
    except (KeyError, TypeError, ValueError):
        return None


def _routers(wanted: Wanted) -> dict[str, Any]:
    owners: dict[str, str] = {}
    for group in wanted.groups():
        for component, settings in sorted(group.components.items()):
            for prefix in settings.routes:
                owners.setdefault(prefix.rstrip("/") or "/", component)
    return {
        f"route-{number}": {
            "rule": _rule(prefix),
            "priority": len(prefix) + 1,
            "service": owners[prefix],
            "middlewares": ["again"],
            "entryPoints": ["web"],
        }
        for number, prefix in enumerate(sorted(owners))
    }


def _rule(prefix: str) -> str:
    """Whole parts of a path only: /api is not a prefix of /apiary."""
    if prefix == "/":
        return 'PathPrefix("/")'
    return f"Path({json.dumps(prefix)}) || PathPrefix({json.dumps(prefix + '/')})"


def _services(component: str, wanted: Wanted, observed: Observed) -> dict[str, Any]:
    servers = {role: _servers(component, role, wanted, observed) for role in Role}
    weights = _weights(wanted.candidate_percent, {role: bool(servers[role]) for role in Role})
    chosen = {f"{component}.{role}": (servers[role], weight) for role, weight in weights.items()}
    if not chosen:
        return {component: {"loadBalancer": {"servers": []}}}
    balanced = {
        name: {"loadBalancer": {"servers": [{"url": url} for url in urls], "serversTransport": "instances"}}
        for name, (urls, _) in chosen.items()
    }
    parts = [{"name": name, "weight": weight} for name, (_, weight) in chosen.items()]
    return {**balanced, component: {"weighted": {"services": parts}}}


def _servers(component: str, role: Role, wanted: Wanted, observed: Observed) -> tuple[str, ...]:
    group = wanted.group(role)
    if group is None:
        return ()
    names = group.instances()
    ready = [each for each in observed.ready(group.generation, component) if each.name in names]
    return tuple(f"http://127.0.0.1:{each.port}" for each in sorted(ready, key=lambda each: each.name))


def _weights(candidate_percent: float, has_servers: Mapping[Role, bool]) -> dict[Role, int]:
    """The roles that get traffic. A role without a ready instance leaves its share to the other one."""
    candidate = round(candidate_percent / 100 * _WHOLE)
    shares = {Role.STABLE: _WHOLE - candidate, Role.CANDIDATE: candidate}
    if candidate > 0 and not has_servers[Role.STABLE]:
        shares = {Role.STABLE: 0, Role.CANDIDATE: 1}
    elif not has_servers[Role.CANDIDATE]:
        shares = {Role.STABLE: 1, Role.CANDIDATE: 0}
    given = {role: share for role, share in shares.items() if share and has_servers[role]}
    divisor = math.gcd(*given.values()) if given else 1
    return {role: share // divisor for role, share in given.items()}
