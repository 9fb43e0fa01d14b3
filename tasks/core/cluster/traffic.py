"""Giving a candidate its share of the traffic, by way of what the manifests already route with.

An HTTPRoute's reference to a component's Service becomes two, with weights; an NGINX Ingress gets a second one beside
it, annotated as its canary. Weights are whole thousandths, since both take integers. A share of 0 leaves a reference to
the candidate out altogether, so that nothing of it is in the way when it goes.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from tasks.core.cluster.beside import name_in
from tasks.core.cluster.documents import INGRESS, ROUTE, Document, ManifestsRefused
from tasks.core.platform import Role

TOTAL = 1000
_NGINX = "nginx.ingress.kubernetes.io"


def parts_per_thousand(percent: float) -> int:
    """Never 0 for a share that is not, nor all for one that is less than all."""
    if percent <= 0:
        return 0
    return TOTAL if percent >= 100 else min(TOTAL - 1, max(1, round(percent * TOTAL / 100)))


def routes_for(
    routes: Iterable[Document], services: frozenset[str], percent: float, *, has_stable: bool
) -> tuple[Document, ...]:
    """Every route as it must be for this share; without a stable release the candidate has whatever share it has."""
    made: list[Document] = []
    for route in routes:
        if route["kind"] == ROUTE:
            made.append(_weighted(route, services, percent, has_stable=has_stable))
        elif route["kind"] == INGRESS:
            made += _ingresses(route, services, percent)
    return tuple(made)


def _weighted(route: Document, services: frozenset[str], percent: float, *, has_stable: bool) -> Document:
    made: dict[str, Any] = deepcopy(dict(route))
    for rule in made["spec"].get("rules") or []:
        rule["backendRefs"] = [
            split
            for each in rule.get("backendRefs") or []
            for split in _split(each, services, percent, has_stable=has_stable)
        ]
    return made


def _split(
    reference: Mapping[str, Any], services: frozenset[str], percent: float, *, has_stable: bool
) -> list[dict[str, Any]]:
    whole = dict(reference)
    if whole.get("kind", "Service") != "Service" or whole.get("name") not in services:
        return [whole]
    share = parts_per_thousand(percent)
    stable = {**whole, "weight": TOTAL - share if has_stable or not share else 0}
    if not share:
        return [stable]
    candidate = {**whole, "name": name_in(whole["name"], Role.CANDIDATE), "weight": share}
    return [stable, candidate]


def _ingresses(ingress: Document, services: frozenset[str], percent: float) -> list[Document]:
    """The Ingress as it is, and its canary while that has a share; NGINX takes whole per cents alone."""
    share = parts_per_thousand(percent)
    if not share or not set(_backends(ingress)) & services:
        return [ingress]
    made: dict[str, Any] = deepcopy(dict(ingress))
    metadata = made["metadata"]
    metadata["name"] = name_in(metadata["name"], Role.CANDIDATE)
    annotations = metadata.setdefault("annotations", {})
    annotations |= {
        f"{_NGINX}/canary": "true",
        f"{_NGINX}/canary-weight": str(share),
        f"{_NGINX}/canary-weight-total": str(TOTAL),
    }
    for path in _paths(made):
        service = path["backend"]["service"]
        if service["name"] in services:
            service["name"] = name_in(service["name"], Role.CANDIDATE)
    return [ingress, made]


def _paths(ingress: Document) -> list[dict[str, Any]]:
    rules = (ingress.get("spec") or {}).get("rules") or []
    return [
        path for rule in rules for path in (rule.get("http") or {}).get("paths") or [] if "service" in path["backend"]
    ]


def _backends(ingress: Document) -> list[str]:
    return [path["backend"]["service"]["name"] for path in _paths(ingress)]


def routed_services(routes: Sequence[Document]) -> frozenset[str]:
    """Names of the Services that any route leads to."""
    found: set[str] = set()
    for route in routes:
        if route["kind"] == INGRESS:
            found |= set(_backends(route))
            continue
        for rule in route["spec"].get("rules") or []:
            found |= {
                each["name"] for each in rule.get("backendRefs") or [] if each.get("kind", "Service") == "Service"
            }
    return frozenset(found)


def share_in(route: Document, services: frozenset[str]) -> float | None:
    """The candidate's share in per cent as an HTTPRoute of the cluster has it; None where it leads to no component."""
    for rule in route["spec"].get("rules") or []:
        weights = {each["name"]: int(each.get("weight", 1)) for each in rule.get("backendRefs") or []}
        for name in services & weights.keys():
            candidate = weights.get(name_in(name, Role.CANDIDATE), 0)
            whole = weights[name] + candidate
            return 100.0 * candidate / whole if whole else 0.0
    return None


def must_split(routes: Sequence[Document], services: frozenset[str]) -> None:
    """Raises ManifestsRefused unless something routes to a component, without which no share can be given."""
    if not routed_services(routes) & services:
        raise ManifestsRefused(
            "no HTTPRoute and no Ingress of the overlay leads to a component: without one no share can be given"
        )
