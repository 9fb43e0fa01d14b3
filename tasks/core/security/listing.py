"""From a merged finding to what is published of it."""

from collections.abc import Mapping

from tasks.core.prose import flat
from tasks.core.security.findings import Finding, Location, ScannerRating, Status
from tasks.core.security.identities import names
from tasks.core.security.merging import Merged, numbered
from tasks.core.security.sightings import Advisory, Spot

_LONGEST_TITLE = 300


def listed(finding: Merged, *, status: Status, blocks: bool, why: str, copies: Mapping[str, int]) -> Finding:
    """The published form of a finding; `copies` says at how many places a name of code is."""
    foremost, sightings = finding.foremost, finding.sightings
    advisories = [each.subject for each in sightings if isinstance(each.subject, Advisory)]
    return Finding(
        id=finding.id,
        category=finding.category,
        severity=finding.rating.severity,
        title=flat(foremost.title)[:_LONGEST_TITLE] or foremost.rule,
        location=str(finding.spots[0]),
        scanners=finding.scanners,
        status=status,
        blocks=blocks,
        why=why,
        rules=tuple(sorted({f"{each.scanner}:{each.rule}" for each in sightings})),
        ratings=_ratings(finding),
        ids=finding.ids,
        names=_names(finding, copies),
        package=advisories[0].package if advisories else "",
        version=", ".join(sorted({advisory.version for advisory in advisories if advisory.version})),
        fixed_in=tuple(dict.fromkeys(version for advisory in advisories for version in advisory.fixed_in)),
        locations=tuple(_location(spot) for spot in finding.spots),
        remedy=foremost.remedy or next((each.remedy for each in sightings if each.remedy), ""),
        url=foremost.url or next((each.url for each in sightings if each.url), ""),
    )


def _names(finding: Merged, copies: Mapping[str, int]) -> tuple[str, ...]:
    """The names of its sightings; of a fragment that is there several times the last copy's, which means all."""
    own = {name for sighting in finding.sightings for name in names(sighting)}
    return tuple(sorted({numbered(name, copies.get(name, 1)) for name in own} - {finding.id}))


def _ratings(finding: Merged) -> tuple[ScannerRating, ...]:
    told = dict.fromkeys((each.scanner, each.rating) for each in finding.sightings)
    return tuple(
        ScannerRating(
            scanner=scanner, severity=rating.severity, source=rating.source, vector=rating.vector, score=rating.score
        )
        for scanner, rating in sorted(
            told, key=lambda pair: (pair[0], pair[1].source, pair[1].severity, pair[1].vector)
        )
    )


def _location(spot: Spot) -> Location:
    return Location(path=spot.path, line=spot.line, end_line=spot.end_line, commit=spot.commit, image=spot.image)
