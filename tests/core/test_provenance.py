"""What BuildKit's attestations say of an image, and when that is not what a release says."""

from typing import Any

import pytest

from tasks.core.provenance import (
    REVISION,
    Provenance,
    ProvenanceRefused,
    attested,
    must_fit,
    provenance_in,
    statements,
)

ARGUMENTS = {f"label:{REVISION}": "abc", "build-arg:VERSION": "1"}
SUBJECT = [{"name": "pkg:docker/shop", "digest": {"sha256": "aa"}}]
FIRST = {
    "builder": {"id": "towpath"},
    "invocation": {"parameters": {"frontend": "dockerfile.v0", "args": ARGUMENTS}},
}
SECOND = {
    "buildDefinition": {"externalParameters": {"request": {"frontend": "dockerfile.v0", "args": ARGUMENTS}}},
    "runDetails": {"builder": {"id": "towpath"}},
}
WELL = Provenance(frozenset({"aa"}), "towpath", "abc")


def attestation(of: str, digest: str) -> dict[str, Any]:
    notes = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of}
    return {"digest": digest, "annotations": notes}


@pytest.mark.parametrize("predicate", [FIRST, SECOND])
def test_both_formats(predicate: dict[str, Any]) -> None:
    """SLSA 0.2, which BuildKit writes by default, and 1.0 say the same."""
    assert provenance_in({"subject": SUBJECT, "predicate": predicate}) == WELL


def test_what_is_not_said() -> None:
    """A builder without a name and a build without labels are empty, never taken for ours."""
    bare: dict[str, Any] = {"builder": {}, "invocation": {"parameters": {}}}
    assert provenance_in({"subject": SUBJECT, "predicate": bare}) == Provenance(frozenset({"aa"}), "", "")


@pytest.mark.parametrize(
    "statement", [{}, {"predicate": FIRST}, {"subject": SUBJECT, "predicate": {}}, {"subject": [1], "predicate": FIRST}]
)
def test_what_is_no_statement(statement: dict[str, Any]) -> None:
    """What is cut off or of another shape is refused."""
    with pytest.raises(ProvenanceRefused, match="cannot be read"):
        provenance_in(statement)


def test_images_and_their_attestations() -> None:
    """Each platform's image is paired with what speaks of it; other attestations are passed over."""
    index = {"manifests": [{"digest": "i1"}, {"digest": "i2"}, attestation("i2", "a2"), attestation("i1", "a1")]}
    assert attested(index) == {"i1": "a1", "i2": "a2"}
    layers = [{"digest": "l1", "annotations": {"in-toto.io/predicate-type": "https://spdx.dev/Document"}}]
    layers.append({"digest": "l2", "annotations": {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}})
    assert statements({"layers": layers}) == ("l2",)


@pytest.mark.parametrize(
    ("index", "why"),
    [
        ({}, "no index of images"),
        ({"config": {}, "layers": []}, "no index of images"),
        ({"manifests": [{"digest": "i1"}, {"digest": "i2"}, attestation("i1", "a1")]}, "no attestation speaks of i2"),
    ],
)
def test_images_without_attestation(index: dict[str, Any], why: str) -> None:
    """One platform that nothing attests is enough to refuse them all."""
    with pytest.raises(ProvenanceRefused, match=why):
        attested(index)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([], "no provenance speaks of sha256:aa"),
        ([Provenance(frozenset({"bb"}), "towpath", "abc")], "no provenance speaks of sha256:aa"),
        ([Provenance(frozenset({"aa"}), "", "abc")], "built from abc by nobody that says so"),
        ([Provenance(frozenset({"aa"}), "towpath", "")], "built from an unnamed revision by towpath"),
        ([Provenance(frozenset({"aa"}), "mallory", "abc"), WELL], ""),
    ],
)
def test_fitting(found: list[Provenance], why: str) -> None:
    """A statement of this very image, revision and builder is enough; without one it is said what there is instead."""
    if not why:
        must_fit(found, "sha256:aa", revision="abc", builder="towpath")
        return
    with pytest.raises(ProvenanceRefused, match=why):
        must_fit(found, "sha256:aa", revision="abc", builder="towpath")
