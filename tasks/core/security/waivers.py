"""Which findings somebody has accepted, until when, and which of these acceptances no longer mean anything.

It promises that a waiver is asked of each sighting by its own names, so that a sighting that ties two problems together
never hides the other one; that one that is expired or reaches too far does not count; and that one without effect is
said. Copies of one fragment of code are accepted all together or not at all, by the number of the last one: only their
places tell them apart, and a place is no name. So one copy more is never accepted by itself.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tasks.core.prose import flat
from tasks.core.security.findings import Finding
from tasks.core.security.identities import advisory_name, escaped, names
from tasks.core.security.merging import Merged, copies_of, numbered, unnumbered
from tasks.core.security.settings import WaiverSettings
from tasks.core.security.sightings import Sighting
from tasks.core.settings import SettingsRefused, parse_toml, read_settings

LONGEST = timedelta(days=180)
_SUGGESTED = timedelta(days=90)


def read_waivers(place: str, text: str) -> tuple[WaiverSettings, ...]:
    """The [[waivers]] of a file of their own. Raises SettingsRefused."""
    other = [key for key in parse_toml(place, text) if key != "waivers"]
    if other:
        raise SettingsRefused(f"{place}: unknown key {other[0]}; known here: waivers")
    try:
        return read_settings({"towpath.toml": text}).waivers
    except SettingsRefused as refused:
        raise SettingsRefused(str(refused).replace("towpath.toml", place, 1)) from refused


def names_of(waiver: WaiverSettings) -> frozenset[str]:
    """What it accepts; an alias without a slash is another id of the same package."""
    prefix = waiver.identity.rpartition("/")[0]
    full = (alias if "/" in alias else f"{prefix}/{escaped(advisory_name(alias))}" for alias in waiver.aliases)
    return frozenset((waiver.identity, *full))


def in_force(waivers: Iterable[WaiverSettings], today: date) -> tuple[WaiverSettings, ...]:
    return tuple(waiver for waiver in waivers if today < waiver.expires <= today + LONGEST)


@dataclass(frozen=True)
class Accepted:
    """What the waivers in force accept: under each name the waiver, and how many copies it reaches to."""

    waivers: Mapping[str, tuple[int, WaiverSettings]]
    copies: Mapping[str, int]

    def of(self, sighting: Sighting) -> WaiverSettings | None:
        """The waiver that accepts this sighting by one of its own names."""
        if not self.waivers:
            return None
        return next((self.waivers[name][1] for name in names(sighting) if self.covers(name)), None)

    def covers(self, name: str) -> bool:
        """Whether everything of this name is accepted, all copies of it where there are several."""
        return name in self.waivers and self.waivers[name][0] >= self.copies.get(name, 1)


def accepted(findings: Sequence[Merged], waivers: Iterable[WaiverSettings], today: date) -> Accepted:
    found: dict[str, tuple[int, WaiverSettings]] = {}
    for waiver in sorted(in_force(waivers, today), key=lambda waiver: (waiver.expires, waiver.owner, waiver.reason)):
        for full in names_of(waiver):
            name, copy = unnumbered(full)
            found[name] = max((copy, waiver), found.get(name, (0, waiver)), key=lambda pair: pair[0])
    return Accepted(found, {name: len(places) for name, places in copies_of(findings).items()})


def waiver_problems(
    findings: Sequence[Merged], waivers: Sequence[WaiverSettings], today: date, *, others: Iterable[str] = ()
) -> tuple[str, ...]:
    """A line for each waiver that does not do what its author believes; `others` are names of what is no finding."""
    there = {name for finding in findings for sighting in finding.sightings for name in names(sighting)} | {*others}
    acceptance = accepted(findings, waivers, today)
    own = [line for waiver in waivers for line in _problems(waiver, today, there, acceptance)]
    return (*own, *_half_accepted(findings, acceptance))


def _half_accepted(findings: Sequence[Merged], acceptance: Accepted) -> Iterator[str]:
    """What one scanner saw may be more than what another saw, so that all of a finding must be accepted."""
    for finding in findings:
        waivers = [waiver for sighting in finding.sightings if (waiver := acceptance.of(sighting))]
        left = {names(sighting)[0] for sighting in finding.sightings if acceptance.of(sighting) is None}
        if waivers and left:
            named = ", ".join(_quoted(numbered(name, acceptance.copies.get(name, 1))) for name in sorted(left))
            said = flat(f"waiver of {waivers[0].identity} ({waivers[0].owner})")
            yield f"{said} accepts its finding only in part, which blocks as before: add aliases = [{named}]"


def _problems(waiver: WaiverSettings, today: date, there: set[str], acceptance: Accepted) -> Iterator[str]:
    said = flat(f"waiver of {waiver.identity} ({waiver.owner})")
    matched = sorted({unnumbered(name)[0] for name in names_of(waiver)} & there)
    if not matched:
        yield f"{said} matches nothing: take it out, or correct its identity"
    elif waiver.expires <= today:
        yield f"{said} expired on {waiver.expires}, so that it counts again: mend it, or accept it anew"
    elif waiver.expires > today + LONGEST:
        yield f"{said} reaches to {waiver.expires} and does not count: at most {today + LONGEST} is accepted"
    elif short := [name for name in matched if not acceptance.covers(name)]:
        number = acceptance.copies[short[0]]
        whole = numbered(short[0], number)
        yield f"{said} does not count: there are {number} copies, and only a waiver of {whole} accepts all of them"


def suggested_waiver(finding: Finding, *, today: date, owner: str = "", reason: str = "") -> str:
    """A waiver to be filled in: as long as owner and reason are empty, the configuration is refused."""
    aliases = [name for name in finding.names if name != finding.id]
    lines = [
        "[[waivers]]",
        f"identity = {_quoted(finding.id)}",
        *([f"aliases = [{', '.join(map(_quoted, aliases))}]"] if aliases else []),
        f"owner = {_quoted(owner)}",
        f"reason = {_quoted(reason)}",
        f"expires = {today + _SUGGESTED}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's too, but for the one control character that JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
