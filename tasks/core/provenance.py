"""Whether what is in the registry was built from the revision, and by the builder, that a release says.

Read are the attestations BuildKit pushes beside an image: manifests of an OCI index that point at the image they speak
of, with in-toto statements in SLSA's provenance format (https://slsa.dev/provenance/v1 and /v0.2). They are not signed:
they tell a wrong image from the right one, not a forger with write access to the registry from us.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PREDICATES = frozenset({"https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"})
REVISION = "org.opencontainers.image.revision"
_OF, _KIND, _ATTESTATION = "vnd.docker.reference.digest", "vnd.docker.reference.type", "attestation-manifest"
Told = Mapping[str, Any]


class ProvenanceRefused(Exception):
    """What is in the registry is not what the release says; the text says in which way."""


@dataclass(frozen=True)
class Provenance:
    """One statement: the images it speaks of (sha256 in hex), who built them, and from which revision."""

    subjects: frozenset[str]
    builder: str
    revision: str


def attested(index: Told) -> dict[str, str]:
    """The digest of each platform's image in an index, and that of its attestation. Raises ProvenanceRefused."""
    entries = index.get("manifests") or ()
    of = {_note(each, _OF): str(each["digest"]) for each in entries if _note(each, _KIND) == _ATTESTATION}
    images = [str(each["digest"]) for each in entries if _note(each, _KIND) != _ATTESTATION]
    if not images:
        raise ProvenanceRefused("it is no index of images, so nothing attests it")
    if bare := [image for image in images if image not in of]:
        raise ProvenanceRefused(f"no attestation speaks of {bare[0]}")
    return {image: of[image] for image in images}


def _note(entry: Told, name: str) -> str:
    return str((entry.get("annotations") or {}).get(name) or "")


def statements(manifest: Told) -> tuple[str, ...]:
    """Digests of the provenance statements in an attestation's manifest."""
    kind = "in-toto.io/predicate-type"
    return tuple(str(each["digest"]) for each in manifest.get("layers") or () if _note(each, kind) in PREDICATES)


def provenance_in(statement: Told) -> Provenance:
    """Raises ProvenanceRefused for what is no provenance."""
    try:
        predicate = statement["predicate"]
        subjects = frozenset(str(each["digest"]["sha256"]) for each in statement["subject"])
        if "runDetails" in predicate:
            builder, request = predicate["runDetails"]["builder"], predicate["buildDefinition"]["externalParameters"]
            arguments = request["request"].get("args") or {}
        else:
            builder, arguments = predicate["builder"], predicate["invocation"]["parameters"].get("args") or {}
        return Provenance(subjects, str(builder.get("id") or ""), str(arguments.get(f"label:{REVISION}") or ""))
    except (KeyError, TypeError, AttributeError) as broken:
        raise ProvenanceRefused(f"a statement cannot be read: {type(broken).__name__} {broken}") from broken


def must_fit(found: Iterable[Provenance], image: str, *, revision: str, builder: str) -> None:
    """One of the statements must be of this image, revision and builder. Raises ProvenanceRefused."""
    spoken = [each for each in found if image.removeprefix("sha256:") in each.subjects]
    if not spoken:
        raise ProvenanceRefused(f"no provenance speaks of {image}")
    if any((each.revision, each.builder) == (revision, builder) for each in spoken):
        return
    said = spoken[0]
    raise ProvenanceRefused(
        f"{image} was built from {said.revision or 'an unnamed revision'} by {said.builder or 'nobody that says so'},"
        f" and the release is {revision} by {builder}"
    )
