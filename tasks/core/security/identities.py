"""What one sighting is called: the names under which a waiver, a base or a reader may mean it.

It promises that the names depend on that sighting alone, so that no other sighting can lend it a name under which it
was accepted; and that a name of code has neither path nor line in it where the lines could be read.
"""

import hashlib
import re
from typing import assert_never

from tasks.core.security.sightings import Advisory, Flaw, Leak, Misconfiguration, Sighting, Spot

Place = tuple[str, int, str, str]

_ECOSYSTEMS = {
    **dict.fromkeys(("pypi", "pip", "python", "python-pkg", "pipenv", "poetry", "uv"), "pypi"),
    **dict.fromkeys(("npm", "node", "node-pkg", "yarn", "pnpm", "bun"), "npm"),
}
_FAMILIES = ("CVE", "GHSA", "PYSEC")
_SEPARATORS = re.compile(r"[-_.]+")
_CWE = re.compile(r"cwe[-_ /:]*0*(\d+)", re.IGNORECASE)


def names(sighting: Sighting) -> tuple[str, ...]:
    """All its names, the first one the best known; of code without the number that tells copies apart."""
    subject = sighting.subject
    match subject:
        case Advisory():
            prefix = f"{ecosystem_name(subject.ecosystem)}/{package_name(subject)}"
            return tuple(f"{prefix}/{escaped(name)}" for name in advisory_names(sighting, subject))
        case Flaw():
            fragment = short(sighting.spot.context or "\n".join(map(str, place_of(sighting.spot))))
            return tuple(f"code/{escaped(family)}/{fragment}" for family in families(sighting, subject))
        case Leak():
            return (f"secret/{short(subject.fingerprint)}",)
        case Misconfiguration():
            folder = sighting.spot.path.rpartition("/")[0] or "."
            return (f"iac/{escaped(sighting.rule)}/{folder}/{escaped(subject.resource)}",)
    assert_never(subject)


def place_of(spot: Spot) -> Place:
    """Where it is, in the order in which copies are counted."""
    return (spot.path, spot.line or 0, spot.image, spot.commit)


def ecosystem_name(name: str) -> str:
    bare = name.strip().lower()
    return escaped(_ECOSYSTEMS.get(bare, bare))


def package_name(advisory: Advisory) -> str:
    """By the rule of its ecosystem: PyPI takes Zope.Interface and zope-interface for one, npm tells capitals apart."""
    bare = advisory.package.strip()
    is_python = ecosystem_name(advisory.ecosystem) == "pypi"
    return _SEPARATORS.sub("-", bare).lower() if is_python else bare


def advisory_names(sighting: Sighting, advisory: Advisory) -> tuple[str, ...]:
    """Its ids without repeats, the canonical one first; the scanner's own rule where it has none."""
    known = {advisory_name(name) for name in advisory.ids if name.strip()}
    return canonical_order(known or {advisory_name(sighting.rule)})


def advisory_name(name: str) -> str:
    """Ids are compared by their usual spelling, since databases differ in capitals."""
    bare = name.strip()
    family = bare.partition("-")[0].upper()
    match family:
        case "CVE" | "PYSEC":
            return bare.upper()
        case "GHSA":
            return f"GHSA-{bare[5:].lower()}"
        case _:
            return bare


def canonical_order(ids: set[str] | frozenset[str]) -> tuple[str, ...]:
    """CVE before GHSA before PYSEC before all others, and each family as a dictionary has it."""
    return tuple(sorted(ids, key=_canonical_rank))


def _canonical_rank(name: str) -> tuple[int, str]:
    family = name.partition("-")[0]
    return (_FAMILIES.index(family) if family in _FAMILIES else len(_FAMILIES), name)


def families(sighting: Sighting, flaw: Flaw) -> tuple[str, ...]:
    """The weaknesses by their CWE, the lowest number first; without any, the scanner's own rule."""
    found = {_cwe_name(cwe) for cwe in flaw.cwes if cwe.strip()}
    return tuple(sorted(found, key=family_rank)) or (f"{sighting.scanner}:{sighting.rule}",)


def _cwe_name(text: str) -> str:
    found = _CWE.fullmatch(text.strip())
    return f"CWE-{found[1]}" if found else text.strip()


def family_rank(family: str) -> tuple[int, str]:
    number = family.removeprefix("CWE-")
    return (int(number) if number.isdecimal() else 1 << 62, family)


def short(text: str) -> str:
    """Twelve hex digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def escaped(text: str) -> str:
    """One part of a name, so that a slash in it is not taken for the end of the part."""
    return text.replace("%", "%25").replace("/", "%2F") if "/" in text or "%" in text else text
