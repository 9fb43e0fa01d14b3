"""From what every scanner said to one finding per problem.

It solves that eight scanners tell the same problem in eight ways. It promises that the outcome depends on the set of
sightings alone, whatever their order or grouping, that a finding keeps all of its sightings, and that a finding's id is
the same after its lines were moved or its file renamed. It must never let a problem go: each sighting is in exactly one
finding.

An advisory is one problem per package, whatever alias is used and however many lock files and images have it. A flaw is
one where scanners share a place and a weakness; copies of one fragment are numbered in the order of their places. A
secret is one by its fingerprint, or by its line in the tree, where scanners cut different parts out of the same secret.
A misconfiguration is one by rule, folder and resource.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import assert_never

from tasks.core.security.closure import Closure
from tasks.core.security.identities import (
    Place,
    advisory_names,
    canonical_order,
    ecosystem_name,
    escaped,
    families,
    family_rank,
    names,
    package_name,
    place_of,
)
from tasks.core.security.severity import most_severe
from tasks.core.security.sightings import Advisory, Category, Flaw, Leak, Misconfiguration, Rating, Sighting, Spot


@dataclass(frozen=True)
class Merged:
    """One problem; `ids` are an advisory's aliases, the canonical one first, or a flaw's weaknesses."""

    id: str
    sightings: tuple[Sighting, ...]
    ids: tuple[str, ...] = ()

    @cached_property
    def category(self) -> Category:
        return min((sighting.category for sighting in self.sightings), key=_CATEGORIES.index)

    @cached_property
    def rating(self) -> Rating:
        return most_severe(sighting.rating for sighting in self.sightings)

    @cached_property
    def foremost(self) -> Sighting:
        """The sighting whose words stand for the finding: the first of the most severe ones."""
        return next(sighting for sighting in self.sightings if sighting.rating == self.rating)

    @cached_property
    def scanners(self) -> tuple[str, ...]:
        return tuple(sorted({sighting.scanner for sighting in self.sightings}))

    @cached_property
    def spots(self) -> tuple[Spot, ...]:
        """Each place once, what is in the tree before what is in the history."""
        by_place = {place_of(sighting.spot): sighting.spot for sighting in reversed(self.sightings)}
        return tuple(by_place[place] for place in sorted(by_place, key=lambda place: (place[3] != "", place)))


_CATEGORIES = tuple(Category)


def merge(sightings: Iterable[Sighting]) -> tuple[Merged, ...]:
    """One finding per problem, by id."""
    distinct = frozenset(sightings)
    closure = Closure()
    aliases: dict[Hashable, set[str]] = defaultdict(set)
    for sighting in distinct:
        closure.join(_joined(sighting))
    groups: dict[Hashable, list[Sighting]] = defaultdict(list)
    for sighting in distinct:
        groups[_group(sighting, closure)].append(sighting)
        if isinstance(sighting.subject, Advisory):
            aliases[closure.root(_joined(sighting)[0])].update(advisory_names(sighting, sighting.subject))
    return _named([_unnamed(group, closure, aliases) for group in groups.values()])


def _joined(sighting: Sighting) -> tuple[Hashable, ...]:
    """What this sighting says belongs together; aliases are joined within an ecosystem, since some ids are numbers."""
    subject, spot = sighting.subject, sighting.spot
    match subject:
        case Advisory():
            ecosystem = ecosystem_name(subject.ecosystem)
            return tuple(("advisory", ecosystem, name) for name in advisory_names(sighting, subject))
        case Flaw():
            place = place_of(spot)
            return tuple(("flaw", *place, family) for family in families(sighting, subject))
        case Leak():
            value: tuple[Hashable, ...] = ("leak", subject.fingerprint)
            return (value, ("line", *place_of(spot))) if spot.line and not spot.commit else (value,)
        case Misconfiguration():
            return names(sighting)
    assert_never(subject)


def _group(sighting: Sighting, closure: Closure) -> Hashable:
    root = closure.root(_joined(sighting)[0])
    subject = sighting.subject
    return (root, package_name(subject)) if isinstance(subject, Advisory) else root


@dataclass(frozen=True)
class _Unnamed:
    """A finding before copies of the same fragment are told apart."""

    base: str
    place: Place
    sightings: tuple[Sighting, ...]
    ids: tuple[str, ...]


def _unnamed(group: list[Sighting], closure: Closure, aliases: dict[Hashable, set[str]]) -> _Unnamed:
    first = group[0]
    ordered = tuple(sorted(group, key=_order)) if len(group) > 1 else (first,)
    subject = first.subject
    ids: tuple[str, ...] = ()
    match subject:
        case Advisory():
            ids = canonical_order(aliases[closure.root(_joined(first)[0])])
            prefix = f"{ecosystem_name(subject.ecosystem)}/{package_name(subject)}"
            base = f"{prefix}/{escaped(ids[0])}"
        case Flaw():
            ids = tuple(sorted({family for each in group for family in _families(each)}, key=family_rank))
            base = min(_flaw_rank(each) for each in group)[-1]
        case Leak() | Misconfiguration():
            base = min(names(each)[0] for each in group)
        case _:
            assert_never(subject)
    place = min(place_of(each.spot) for each in group)
    return _Unnamed(base, place, ordered, ids)


def _families(sighting: Sighting) -> tuple[str, ...]:
    return families(sighting, sighting.subject) if isinstance(sighting.subject, Flaw) else ()


def _flaw_rank(sighting: Sighting) -> tuple[tuple[int, str], bool, str]:
    """A name made from lines is better than one made from a place, which moves."""
    return (family_rank(_families(sighting)[0]), not sighting.spot.context, names(sighting)[0])


def _named(found: list[_Unnamed]) -> tuple[Merged, ...]:
    found.sort(key=lambda each: (each.base, each.place, each.ids, _order(each.sightings[0])))
    counts: dict[str, int] = defaultdict(int)
    merged = []
    for each in found:
        counts[each.base] += 1
        merged.append(Merged(id=numbered(each.base, counts[each.base]), sightings=each.sightings, ids=each.ids))
    return tuple(sorted(merged, key=lambda each: each.id))


def numbered(base: str, copy: int) -> str:
    """The id of the first, second, ... copy of one fragment."""
    return base if copy == 1 else f"{base}-{copy}"


def unnumbered(name: str) -> tuple[str, int]:
    """The name of a fragment and the number of its copy; whatever is no code has no copies."""
    base, dash, number = name.rpartition("-")
    is_copy = dash and name.startswith("code/") and number.isascii() and number.isdecimal() and "/" not in number
    # NOTE: after the last slash a name of code has hex digits alone, so that the dash of a CWE is never meant.
    return (base, int(number)) if is_copy and "/" in base.removeprefix("code/") else (name, 1)


def copies_of(merged: Iterable[Merged]) -> Mapping[str, frozenset[Place]]:
    """For each name of code, the places where it is."""
    places: dict[str, set[Place]] = defaultdict(set)
    for finding in merged:
        for sighting in finding.sightings:
            if isinstance(sighting.subject, Flaw):
                for name in names(sighting):
                    places[name].add(place_of(sighting.spot))
    return {name: frozenset(found) for name, found in places.items()}


def _order(sighting: Sighting) -> tuple[str | int | float, ...]:
    """A total order, so that a set of sightings has one list."""
    spot, rating = sighting.spot, sighting.rating
    return (
        *place_of(spot),
        sighting.scanner,
        sighting.rule,
        sighting.title,
        spot.end_line or 0,
        -1 if spot.line is None else spot.line,
        spot.context,
        rating.severity,
        rating.source,
        rating.vector,
        -1.0 if rating.score is None else rating.score,
        sighting.category,
        sighting.remedy,
        sighting.url,
        repr(sighting.subject),
        -1 if spot.end_line is None else spot.end_line,
    )
