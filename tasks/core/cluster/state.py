"""What an environment in a cluster is meant to be, as the cluster itself keeps it, and every object that this makes.

`objects_of` is the whole environment for a state: applied in its order it brings the cluster there, and what was in the
inventory and is not in it any more is to be deleted. Volumes with data are never deleted by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from tasks.core.cluster.beside import deployment_of, owned, scaler_of, services_of
from tasks.core.cluster.documents import Document, Identity, Part, Parts, identity_of, pinned, placeholders
from tasks.core.cluster.traffic import routes_for
from tasks.core.platform import Role
from tasks.core.wanted import Group, Wanted

# Their data outlives whatever a release says of them.
_KEPT = frozenset({"PersistentVolumeClaim", "PersistentVolume", "Namespace"})
_SURROUNDINGS, _SERVICES, _DEPLOYMENTS, _SCALERS, _ROUTES = range(5)


class ClusterState(BaseModel):
    """The ConfigMap of an environment. `is_promoting` while the stable Deployments are being made the candidate's;
    `inventory` is every object that was applied and not deleted again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wanted: Wanted
    is_promoting: bool = False
    inventory: tuple[tuple[str, str, str, str], ...] = ()

    def known(self) -> frozenset[Identity]:
        return frozenset(Identity(*each) for each in self.inventory)


class Manifests(BaseModel):
    """What a release brings for one environment: its documents as rendered, and the image of each component."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    documents: tuple[Document, ...]
    images: Mapping[str, str]


@dataclass(frozen=True)
class Placed:
    """A group with the parts of its manifests, images pinned."""

    group: Group
    parts: Parts


@dataclass(frozen=True)
class Surroundings:
    """Whose environment it is, and which of the two releases is to be seen where."""

    target: str
    environment: str
    namespace: str
    stable: Placed | None
    candidate: Placed | None
    percent: float


def pinned_parts(parts: Parts, images: Mapping[str, str]) -> Parts:
    """The same with every placeholder of a component replaced by its image, also in jobs that use it."""
    named = {placeholder: images[name] for name, placeholder in placeholders(parts).items() if name in images}
    return Parts(
        components={name: _pinned(part, named) for name, part in parts.components.items()},
        routes=parts.routes,
        surroundings=tuple(pinned(each, named) for each in parts.surroundings),
    )


def _pinned(part: Part, images: Mapping[str, str]) -> Part:
    return Part(part.name, pinned(part.deployment, images), part.services, part.scaler)


def objects_of(where: Surroundings) -> tuple[Document, ...]:
    """Every object of the environment, in the order in which they are to be applied."""
    leading = where.candidate or where.stable
    if leading is None:
        return ()
    found: list[tuple[int, Document]] = [(_SURROUNDINGS, each) for each in leading.parts.surroundings]
    for role, placed in ((Role.STABLE, where.stable), (Role.CANDIDATE, where.candidate)):
        if placed is not None:
            found += _of(placed, role)
    # What is routed to must be there for the stable name too, or a route would be refused before the first promotion.
    if where.stable is None:
        found += [
            (_SERVICES, each) for part in leading.parts.components.values() for each in services_of(part, Role.STABLE)
        ]
    found += [(_ROUTES, each) for each in routes_in(where)]
    return tuple(owned(each, where.target, where.environment) for _, each in sorted(found, key=lambda pair: pair[0]))


def _of(placed: Placed, role: Role) -> list[tuple[int, Document]]:
    found: list[tuple[int, Document]] = []
    for part in placed.parts.components.values():
        found += [(_SERVICES, each) for each in services_of(part, role)]
        found.append((_DEPLOYMENTS, deployment_of(part, placed.group, role)))
        if role is Role.STABLE and (scaler := scaler_of(part, placed.group.replicas)) is not None:
            found.append((_SCALERS, scaler))
    return found


def routes_in(where: Surroundings) -> tuple[Document, ...]:
    """The routes alone, which is all that a change of weights applies."""
    leading = where.candidate or where.stable
    if leading is None:
        return ()
    services = leading.parts.services if where.stable is None else leading.parts.services | where.stable.parts.services
    percent = where.percent if where.candidate else 0.0
    return routes_for(leading.parts.routes, services, percent, has_stable=where.stable is not None)


def kept_in(where: Surroundings) -> frozenset[Identity]:
    """What must be there in this state: what is applied, and what the stable release leans on beside a candidate, since
    its pods may be started anew at any moment."""
    of_stable = where.stable.parts.surroundings if where.stable else ()
    return frozenset(identity_of(each, where.namespace) for each in (*objects_of(where), *of_stable))


def to_delete(before: frozenset[Identity], kept: frozenset[Identity]) -> tuple[Identity, ...]:
    """What was applied and is not wanted any more, what routes first, never what holds data."""
    gone = [each for each in before - kept if each.kind not in _KEPT]
    order = {"HTTPRoute": 0, "Ingress": 0, "HorizontalPodAutoscaler": 1, "Deployment": 2, "Service": 3}
    return tuple(sorted(gone, key=lambda each: (order.get(each.kind, 4), each)))
