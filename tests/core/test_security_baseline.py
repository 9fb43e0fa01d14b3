"""New, known and fixed, sighting by sighting."""

import pytest
from hypothesis import given

from tasks.core.security.baseline import compare
from tasks.core.security.findings import Status
from tasks.core.security.merging import merge
from tasks.core.security.sightings import Sighting
from tests.core.sightings import advisory, drawn, flaw, leak, many, misconfiguration

NEW, KNOWN = Status.NEW, Status.KNOWN


def standings(now: list[Sighting], base: list[Sighting]) -> list[Status]:
    compared = compare(merge(now), merge(base))
    return [compared.of(sighting) for sighting in now]


def fixed(now: list[Sighting], base: list[Sighting]) -> list[str]:
    return [finding.id for finding in compare(merge(now), merge(base)).fixed]


@pytest.mark.parametrize(
    ("now", "base", "expected"),
    [
        ([advisory("CVE-1", version="2")], [advisory("CVE-1")], [KNOWN]),
        ([advisory("GHSA-x")], [advisory("CVE-1"), advisory("CVE-1", "GHSA-x", package="other")], [KNOWN]),
        ([advisory("CVE-1", package="b")], [advisory("CVE-1")], [NEW]),
        ([advisory("CVE-1"), advisory("CVE-2"), advisory("CVE-1", "CVE-2")], [advisory("CVE-1")], [KNOWN, NEW, KNOWN]),
        ([flaw("CWE-78", line=70)], [flaw("CWE-78")], [KNOWN]),
        ([flaw("CWE-78", path="moved.py")], [flaw("CWE-78")], [KNOWN]),
        ([flaw("CWE-78", context="other")], [flaw("CWE-78")], [NEW]),
        ([flaw("CWE-78", path="a"), flaw("CWE-78", path="b")], [flaw("CWE-78", path="b")], [NEW, KNOWN]),
        ([flaw("CWE-78", line=1), flaw("CWE-78", line=2)], [flaw("CWE-78", line=9)], [KNOWN, NEW]),
        ([flaw("CWE-78"), flaw("CWE-89", "CWE-78", scanner="two")], [flaw("CWE-78")], [KNOWN, KNOWN]),
        ([flaw("CWE-78"), flaw("CWE-89", line=5, scanner="two")], [flaw("CWE-78")], [KNOWN, NEW]),
        ([leak("f1", path="b")], [leak("f1", commit="c0ffee")], [KNOWN]),
        ([leak("f1"), leak("f2", scanner="two")], [leak("f1")], [KNOWN, NEW]),
        ([misconfiguration(path="k/b.yaml")], [misconfiguration(path="k/a.yaml")], [KNOWN]),
        ([misconfiguration(path="l/a.yaml")], [misconfiguration(path="k/a.yaml")], [NEW]),
    ],
)
def test_standings(now: list[Sighting], base: list[Sighting], expected: list[Status]) -> None:
    """Known is what the base calls the same: by any alias, by fragment and number of copies, fingerprint or key."""
    assert expected == standings(now, base)


@given(many, many, drawn)
def test_another_sighting_makes_nothing_known(now: list[Sighting], base: list[Sighting], more: Sighting) -> None:
    """What was new beside others is still new when one more is there."""
    before, after = compare(merge(now), merge(base)), compare(merge([*now, more]), merge(base))
    for sighting in now:
        assert before.of(sighting) is KNOWN or after.of(sighting) is NEW


@given(many)
def test_the_same_revision_has_nothing_new(sightings: list[Sighting]) -> None:
    """Compared with itself everything is known and nothing is fixed."""
    assert set(standings(sightings, sightings)) <= {KNOWN}
    assert fixed(sightings, sightings) == []


@given(many, many)
def test_without_a_common_finding_all_is_new_and_fixed(now: list[Sighting], base: list[Sighting]) -> None:
    """An empty base has nothing that is known, and of an empty revision everything is fixed."""
    assert set(standings(now, [])) <= {NEW}
    assert sorted(finding.id for finding in merge(base)) == sorted(fixed([], base))


def test_without_a_base_it_is_open() -> None:
    """Where nothing is compared nothing is new or known."""
    found = merge([flaw("CWE-78")])

    assert compare(found, None).of(found[0].sightings[0]) is Status.OPEN


def test_fixed() -> None:
    """Fixed is what no sighting has any more: one copy of two, an advisory under all of its names."""
    two = [flaw("CWE-78"), flaw("CWE-78", path="b.py"), advisory("CVE-1", "GHSA-x"), leak("f1")]

    assert len(fixed([flaw("CWE-78"), advisory("GHSA-x")], two)) == 2
    assert fixed([flaw("CWE-78"), flaw("CWE-78", path="c.py"), advisory("GHSA-x"), leak("f1", path="z")], two) == []
