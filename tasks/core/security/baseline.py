"""What of the findings the base revision had already.

It solves that a team meets a new gate with old findings. It promises to look at each sighting on its own, so that a
sighting that ties a new problem to an old one cannot make the new one known. It must never take one copy of a fragment
for another that was added: the base's copies are used up one by one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.core.security.findings import Status
from tasks.core.security.identities import Place, escaped, names, place_of
from tasks.core.security.merging import Merged, copies_of
from tasks.core.security.sightings import Flaw, Sighting


@dataclass(frozen=True)
class Compared:
    """`standing` is new or known for each sighting where there is a base, open where there is none."""

    standing: Mapping[Sighting, Status] = field(default_factory=dict)
    fixed: tuple[Merged, ...] = ()

    def of(self, sighting: Sighting) -> Status:
        return self.standing.get(sighting, Status.OPEN)


def compare(findings: Sequence[Merged], base: Sequence[Merged] | None) -> Compared:
    """Which sightings the base has too, and which of the base's findings are gone; a base of None was not asked for."""
    if base is None:
        return Compared()
    known = _names_of(base)
    matches = _match(copies_of(findings), copies_of(base))
    standing = {
        sighting: Status.KNOWN if _is_known(sighting, known, matches) else Status.NEW
        for finding in findings
        for sighting in finding.sightings
    }
    return Compared(standing, _gone(findings, base, matches))


def closure_names(finding: Merged) -> frozenset[str]:
    """Every name of a finding that is no code; of an advisory also its aliases that no sighting of this package has."""
    own = {name for sighting in finding.sightings if not isinstance(sighting.subject, Flaw) for name in names(sighting)}
    prefixes = {finding.id.rpartition("/")[0]} if own and finding.ids else set()
    return frozenset(own | {f"{prefix}/{escaped(name)}" for prefix in prefixes for name in finding.ids})


def _names_of(findings: Iterable[Merged]) -> frozenset[str]:
    return frozenset(name for finding in findings for name in closure_names(finding))


@dataclass(frozen=True)
class _Match:
    """Of one name of code: which places now are known, and which of the base's they stand for."""

    known: frozenset[Place] = frozenset()
    used: frozenset[Place] = frozenset()


def _match(now: Mapping[str, frozenset[Place]], base: Mapping[str, frozenset[Place]]) -> Mapping[str, _Match]:
    return {name: _paired(places, base[name]) for name, places in now.items() if name in base}


def _paired(now: frozenset[Place], base: frozenset[Place]) -> _Match:
    """Copies in the same file first, since lines move more often than files; then whatever is left, in order."""
    pairs: list[tuple[Place, Place]] = []
    here, there = _by_path(now), _by_path(base)
    for path in here.keys() & there.keys():
        pairs += zip(here[path], there[path], strict=False)
    rest = sorted(now - {one for one, _ in pairs}), sorted(base - {other for _, other in pairs})
    pairs += zip(*rest, strict=False)
    return _Match(frozenset(one for one, _ in pairs), frozenset(other for _, other in pairs))


def _by_path(places: frozenset[Place]) -> Mapping[str, list[Place]]:
    found: dict[str, list[Place]] = defaultdict(list)
    for place in sorted(places):
        found[place[0]].append(place)
    return found


def _is_known(sighting: Sighting, known: frozenset[str], matches: Mapping[str, _Match]) -> bool:
    if not isinstance(sighting.subject, Flaw):
        return not known.isdisjoint(names(sighting))
    place = place_of(sighting.spot)
    return any(place in matches[name].known for name in names(sighting) if name in matches)


def _gone(findings: Sequence[Merged], base: Sequence[Merged], matches: Mapping[str, _Match]) -> tuple[Merged, ...]:
    here = _names_of(findings)
    return tuple(
        finding
        for finding in base
        if here.isdisjoint(closure_names(finding))
        and not any(_is_used(sighting, matches) for sighting in finding.sightings)
    )


def _is_used(sighting: Sighting, matches: Mapping[str, _Match]) -> bool:
    if not isinstance(sighting.subject, Flaw):
        return False
    place = place_of(sighting.spot)
    return any(place in matches[name].used for name in names(sighting) if name in matches)
