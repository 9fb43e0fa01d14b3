"""OpenVEX: what a vendor or the team itself says of a vulnerability in a product.

It solves that a vulnerable package may be harmless where it is used. It promises that a statement counts only for the
advisories it names and the products it means, that of several the newest decides, and that a document which cannot be
read is refused. It must never take a statement about something else for one about what was found.

A statement without a product means whatever has the vulnerability. Else one of its products must match: a package URL
by ecosystem, name and, where it has one, version; that of an image by its name and digest. Where a product has
subcomponents, one of them must be the package, and the product, if it is an image, that in which it was seen; any other
product is then taken for the target, which the document came with. A product that is neither package nor image, and has
no subcomponents, matches nothing. Only not_affected and fixed suppress.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from tasks.core.security.identities import advisory_name, advisory_names
from tasks.core.security.purls import is_image, is_package, read_purl
from tasks.core.security.sightings import Advisory, Sighting
from tasks.core.settings import SettingsRefused


class VexStatus(StrEnum):
    """OpenVEX's own words."""

    NOT_AFFECTED = "not_affected"
    AFFECTED = "affected"
    FIXED = "fixed"
    UNDER_INVESTIGATION = "under_investigation"

    @property
    def suppresses(self) -> bool:
        return self in (VexStatus.NOT_AFFECTED, VexStatus.FIXED)


@dataclass(frozen=True)
class Product:
    """What a statement is about: the names of one thing, and of the parts of it that are meant."""

    names: tuple[str, ...]
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of one document."""

    document: str
    ids: tuple[str, ...]
    status: VexStatus
    reason: str
    at: datetime
    products: tuple[Product, ...] = ()

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.status.replace('_', ' ')}{reason} ({self.document})"


Statements = Mapping[str, tuple[Statement, ...]]


def read_vex(place: str, text: str) -> tuple[Statement, ...]:
    """The statements of a document. Raises SettingsRefused."""
    try:
        document = json.loads(text.removeprefix("\ufeff"))
        if not str(document["@context"]).startswith("https://openvex.dev/ns"):
            raise ValueError("its @context is not that of OpenVEX")  # noqa: TRY301  (told below with the file's name)
        return tuple(_statement(place, document, each) for each in document["statements"])
    except KeyError as missing:
        raise SettingsRefused(f"{place}: no OpenVEX document that can be read: it lacks {missing}") from missing
    except (ValueError, TypeError, AttributeError, RecursionError) as broken:
        said = " ".join(str(broken).split())[:200]
        raise SettingsRefused(f"{place}: no OpenVEX document that can be read: {said}") from broken


def _statement(place: str, document: Mapping[str, Any], each: Mapping[str, Any]) -> Statement:
    status = VexStatus(each["status"])
    reason = " ".join(str(each.get("justification") or each.get("impact_statement") or "").split())
    if status is VexStatus.NOT_AFFECTED and not reason:
        raise ValueError("a statement says not_affected without a justification or an impact_statement")
    return Statement(
        document=place,
        ids=_ids(each["vulnerability"]),
        status=status,
        reason=reason,
        at=_time(each.get("last_updated") or each.get("timestamp") or document["timestamp"]),
        products=tuple(_product(product) for product in each.get("products") or ()),
    )


def _ids(vulnerability: str | Mapping[str, Any]) -> tuple[str, ...]:
    """Version 0.0.1 has the name alone; later ones a table, whose @id may be an address that ends with the name."""
    if isinstance(vulnerability, str):
        found = [vulnerability]
    else:
        address = str(vulnerability.get("@id") or "").rpartition("/")[2]
        found = [vulnerability.get("name") or address, *(vulnerability.get("aliases") or ())]
    ids = tuple(advisory_name(str(name)) for name in found if str(name).strip())
    if not ids:
        raise ValueError("a statement names no vulnerability")
    return ids


def _product(product: str | Mapping[str, Any]) -> Product:
    if isinstance(product, str):
        return Product(names=(product,))
    parts = tuple(name for part in product.get("subcomponents") or () for name in _names(part))
    return Product(names=_names(product), parts=parts)


def _names(component: str | Mapping[str, Any]) -> tuple[str, ...]:
    if isinstance(component, str):
        return (component,)
    identifiers = component.get("identifiers") or {}
    found = (component.get("@id"), identifiers.get("purl"))
    names = tuple(str(name) for name in found if name)
    if not names:
        raise ValueError("a product has neither @id nor purl")
    return names


def _time(text: str) -> datetime:
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def by_advisory(statements: Iterable[Statement]) -> Statements:
    """The statements under each id they name."""
    found: dict[str, list[Statement]] = defaultdict(list)
    for statement in statements:
        for name in dict.fromkeys(statement.ids):
            found[name].append(statement)
    return {name: tuple(each) for name, each in found.items()}


def suppressing(sighting: Sighting, statements: Statements) -> Statement | None:
    """The statement by which a sighting does not count; of two of the same time the one that does not suppress wins."""
    advisory = sighting.subject
    if not statements or not isinstance(advisory, Advisory):
        return None
    told = [each for name in advisory_names(sighting, advisory) for each in statements.get(name, ())]
    own = [each for each in told if _is_about(each, sighting, advisory)]
    newest = max(own, key=lambda each: (each.at, not each.status.suppresses, each.document, each.reason), default=None)
    return newest if newest is not None and newest.status.suppresses else None


def _is_about(statement: Statement, sighting: Sighting, advisory: Advisory) -> bool:
    image = sighting.spot.image
    return not statement.products or any(_means(product, advisory, image) for product in statement.products)


def _means(product: Product, advisory: Advisory, image: str) -> bool:
    purls = [purl for name in product.names if (purl := read_purl(name)) is not None]
    if not product.parts:
        return any(is_package(purl, advisory) or is_image(purl, image) for purl in purls)
    images = [purl for purl in purls if purl.kind in ("oci", "docker")]
    is_there = any(is_image(purl, image) for purl in images) if images else True
    parts = [purl for name in product.parts if (purl := read_purl(name)) is not None]
    return is_there and any(is_package(purl, advisory) for purl in parts)
