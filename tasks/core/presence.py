"""What an environment of the local platform is, told from what is wanted and what is there.

The share it tells is the router's own word where the router answers; where it does not, the status says so instead of
passing a wish for a fact.
"""

from tasks.core.observed import Observed, ObservedInstance
from tasks.core.platform import EnvironmentStatus, Instance, Role
from tasks.core.wanted import Group, Wanted
from tasks.core.weighted_routes import Followed


def candidate_is_ready(group: Group, observed: Observed) -> bool:
    """Whether it could take any traffic at all."""
    return any(observed.ready(group.generation, component) for component in group.components)


def lost_by_promoting(wanted: Wanted, observed: Observed) -> list[str]:
    """The components that answer now and would not if the candidate were promoted."""
    old, new = wanted.stable, wanted.candidate
    if new is None:
        return []
    meant_to_run = [component for component in sorted(new.components) if new.release.replicas.get(component, 1)]
    answering = [
        component
        for component in meant_to_run
        if (old is not None and observed.ready(old.generation, component)) or new.replicas.get(component, 0)
    ]
    return [component for component in answering if not observed.ready(new.generation, component)]


def status_of(
    environment: str, url: str, wanted: Wanted, observed: Observed, seen: Followed | None, *, is_supervised: bool
) -> EnvironmentStatus:
    """The status, for people and for whoever waits until instances are ready."""
    roles = [role for role in Role if wanted.group(role) is not None]
    return EnvironmentStatus(
        environment=environment,
        url=url,
        stable=wanted.stable.release if wanted.stable else None,
        candidate=wanted.candidate.release if wanted.candidate else None,
        candidate_percent=wanted.candidate_percent if seen is None else seen.candidate_percent,
        instances=tuple(each for role in roles for each in _instances(role, wanted, observed)),
        note="; ".join(_notes(wanted, observed, seen, is_supervised=is_supervised)),
    )


def _instances(role: Role, wanted: Wanted, observed: Observed) -> list[Instance]:
    """Wanted ones, whether they are there or not, and those of the release that are on their way out."""
    group = wanted.group(role)
    assert group is not None
    names = group.instances()
    there = {each.name: each for each in observed.instances if each.generation == group.generation}
    leaving = sorted(set(there) - set(names))
    return [_instance(role, group, name, component, there.get(name)) for name, component in names.items()] + [
        _instance(role, group, name, there[name].component, there[name]) for name in leaving
    ]


def _instance(role: Role, group: Group, name: str, component: str, seen: ObservedInstance | None) -> Instance:
    version = group.release.version
    if seen is None:
        return Instance(name, component, role, version, is_ready=False, note="not started yet")
    is_ready = seen.is_ready and not seen.is_leaving
    return Instance(name, component, role, version, is_ready=is_ready, restarts=seen.restarts, note=seen.note)


def _notes(wanted: Wanted, observed: Observed, seen: Followed | None, *, is_supervised: bool) -> list[str]:
    notes = [] if is_supervised else ["the platform does not run: towpath up"]
    if seen is None:
        notes.append(observed.router.note or "the router does not answer: the share is what was last wanted")
    elif seen.revision < wanted.revision:
        notes.append("the router does not follow the last change yet")
    candidate = wanted.candidate
    if candidate is not None and wanted.candidate_percent > 0:
        lacking = [name for name in sorted(candidate.components) if not observed.ready(candidate.generation, name)]
        if lacking:
            notes.append(f"no candidate instance of {', '.join(lacking)} is ready: its share goes to stable")
    generations = {group.generation for group in wanted.groups()}
    if leaving := [each.name for each in observed.instances if each.generation not in generations]:
        notes.append(f"instances of earlier releases being drained: {len(leaving)}")
    return [*notes, *([observed.note] if observed.note else [])]
