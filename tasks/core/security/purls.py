"""Package URLs: pkg:type/namespace/name@version?qualifiers#subpath."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from tasks.core.security.identities import ecosystem_name, package_name
from tasks.core.security.sightings import Advisory

# What distributions' packages are called in a purl, and how the ecosystem of their advisories begins.
_DISTRIBUTIONS = ("deb", "rpm", "apk", "alpm")
_SYNONYMS = {"golang": "go", "cargo": "crates.io", "gem": "rubygems", "composer": "packagist"}


@dataclass(frozen=True)
class Purl:
    """`name` holds the namespace too: @babel/core, github.com/a/b."""

    kind: str
    name: str
    version: str = ""


def read_purl(text: str) -> Purl | None:
    """None where it is no package URL."""
    scheme, _, rest = text.strip().partition(":")
    bare = rest.split("#")[0].split("?")[0].lstrip("/")
    kind, _, path = bare.partition("/")
    # NOTE: the version's @ comes after the last slash; the one of an npm scope before it, and it may be unescaped.
    before, slash, last = path.rpartition("/")
    name, _, version = last.partition("@")
    if scheme.lower() != "pkg" or not kind or not name:
        return None
    return Purl(kind.lower(), unquote(f"{before}{slash}{name}"), unquote(version))


def is_package(purl: Purl, advisory: Advisory) -> bool:
    """Whether a purl means the package of an advisory, in this version where the purl has one.

    A purl of a distribution's package has the distribution as its namespace, which an advisory has in its ecosystem.
    """
    if purl.version and purl.version != advisory.version:
        return False
    ecosystem = ecosystem_name(advisory.ecosystem)
    if purl.kind in _DISTRIBUTIONS:
        distribution, _, name = purl.name.rpartition("/")
        return name == advisory.package.strip() and _distribution(ecosystem) in (distribution.lower(), purl.kind)
    named = Advisory(ecosystem=purl.kind, package=purl.name, version="", ids=())
    kinds = {ecosystem_name(purl.kind), _SYNONYMS.get(purl.kind, purl.kind)}
    return ecosystem in kinds and package_name(named) == package_name(advisory)


def _distribution(ecosystem: str) -> str:
    """debian of `debian 12` and `debian:12`."""
    return re.split("[^a-z]", ecosystem, maxsplit=1)[0]


def is_image(purl: Purl, image: str) -> bool:
    """Whether a purl means an image, name@digest, in this digest where the purl has one."""
    name, _, digest = image.partition("@")
    is_same = name.rpartition("/")[2].partition(":")[0] == purl.name.rpartition("/")[2]
    return purl.kind in ("oci", "docker") and bool(image) and is_same and purl.version in ("", digest)
