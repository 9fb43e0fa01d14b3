"""One finding per problem."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.security.identities import names
from tasks.core.security.merging import Merged, merge, numbered, unnumbered
from tasks.core.security.sightings import Advisory, Category, Flaw, Severity, Sighting
from tests.core.sightings import advisory, drawn, flaw, leak, many, misconfiguration


def ids(*sightings: Sighting) -> list[str]:
    return [finding.id for finding in merge(sightings)]


def flat(findings: tuple[Merged, ...]) -> list[Sighting]:
    return [sighting for finding in findings for sighting in finding.sightings]


@given(many, many, many)
def test_merging_is_a_function_of_the_set(one: list[Sighting], two: list[Sighting], three: list[Sighting]) -> None:
    """Merging is commutative, associative and idempotent, and keeps every sighting in exactly one finding."""
    whole = merge([*one, *two, *three])

    assert whole == merge([*three, *one, *two])
    assert whole == merge([*flat(merge([*one, *two])), *three])
    assert whole == merge([*one, *flat(merge([*two, *three]))])
    assert whole == merge([*flat(whole), *one])
    assert sorted(map(repr, flat(whole))) == sorted(map(repr, {*one, *two, *three}))


@given(many)
def test_ids_are_unique(sightings: list[Sighting]) -> None:
    """No two findings have the same id."""
    found = ids(*sightings)

    assert len(set(found)) == len(found)


@given(many, drawn)
def test_another_sighting_never_takes_one_away(sightings: list[Sighting], more: Sighting) -> None:
    """Whatever a sighting ties together, all that were there before are still there."""
    assert set(flat(merge(sightings))) <= set(flat(merge([*sightings, more])))


@pytest.mark.parametrize(
    ("sightings", "expected"),
    [
        ([advisory("GHSA-x"), advisory("CVE-2024-1", "GHSA-X", scanner="two")], ["pypi/jinja2/CVE-2024-1"]),
        ([advisory("PYSEC-1", "GHSA-x"), advisory("GHSA-x", "cve-2024-1")], ["pypi/jinja2/CVE-2024-1"]),
        ([advisory("PYSEC-2024-9", "OSV-1")], ["pypi/jinja2/PYSEC-2024-9"]),
        ([advisory("CVE-2", "CVE-1")], ["pypi/jinja2/CVE-1"]),
        ([advisory("CVE-1"), advisory("CVE-2")], ["pypi/jinja2/CVE-1", "pypi/jinja2/CVE-2"]),
        ([advisory("CVE-1", package="Zope.Interface"), advisory("CVE-1", package="zope-interface")], None),
        ([advisory("CVE-1", ecosystem="pip"), advisory("CVE-1", ecosystem="python-pkg")], None),
        ([advisory("CVE-1", path="a/uv.lock"), advisory("CVE-1", image="shop@sha256:1", path="usr/lib")], None),
        (
            [advisory("CVE-1", ecosystem="npm", package="JSON"), advisory("CVE-1", ecosystem="npm", package="json")],
            ["npm/JSON/CVE-1", "npm/json/CVE-1"],
        ),
        ([advisory("90001"), advisory("90001", ecosystem="npm")], ["npm/jinja2/90001", "pypi/jinja2/90001"]),
        (
            [advisory("GHSA-x", package="a"), advisory("GHSA-x", "CVE-1", package="b")],
            ["pypi/a/CVE-1", "pypi/b/CVE-1"],
        ),
    ],
)
def test_advisories(sightings: list[Sighting], expected: list[str] | None) -> None:
    """An advisory is one per package by any of its aliases; CVE is its best known name, then GHSA, then PYSEC."""
    found = ids(*sightings)

    assert len(found) == 1 if expected is None else expected == found


@given(st.randoms(use_true_random=False))
def test_a_chain_of_aliases_is_one(shuffled: random.Random) -> None:
    """However long aliases are passed on, and in whatever order they are read, it is one finding."""
    chain = [advisory(f"OSV-{number}", f"OSV-{number + 1}") for number in range(50)] + [advisory("OSV-50", "CVE-1")]
    shuffled.shuffle(chain)

    assert ids(*chain) == ["pypi/jinja2/CVE-1"]


@given(st.integers(1, 10**6), st.sampled_from(["b.py", "deep/er/a.py"]))
def test_moved_code_keeps_its_id(line: int, path: str) -> None:
    """Neither a moved line nor a renamed file changes what a flaw is called."""
    assert ids(flaw("CWE-78")) == ids(flaw("CWE-78", path=path, line=line))


@pytest.mark.parametrize(
    ("sightings", "expected"),
    [
        ([flaw("CWE-78"), flaw("CWE-078", scanner="two", rule="R2")], ["code/CWE-78/"]),
        ([flaw("CWE-88", "CWE-78"), flaw("CWE-88", scanner="two")], ["code/CWE-78/"]),
        ([flaw("CWE-78"), flaw("CWE-89")], ["code/CWE-78/", "code/CWE-89/"]),
        ([flaw("CWE-78"), flaw("CWE-78", line=9)], ["code/CWE-78/", "code/CWE-78/2"]),
        ([flaw("CWE-78"), flaw("CWE-78", context="")], ["code/CWE-78/"]),
        ([flaw(rule="B1"), flaw(rule="B1", scanner="two")], ["code/one:B1/", "code/two:B1/"]),
        ([flaw(rule="py/sql")], ["code/one:py%2Fsql/"]),
        ([flaw("CWE-78", context=""), flaw("CWE-78", context="", line=4)], ["code/CWE-78/", "code/CWE-78/"]),
    ],
)
def test_flaws(sightings: list[Sighting], expected: list[str]) -> None:
    """A flaw is one where place and weakness are shared; copies of a fragment are numbered."""
    found = [unnumbered(finding) for finding in ids(*sightings)]
    readable = [name.rpartition("/")[0] + "/" + (str(copy) if copy > 1 else "") for name, copy in found]

    assert sorted(expected) == sorted(readable)


def test_the_context_names_a_flaw_where_one_scanner_knows_it() -> None:
    """A sighting without lines does not take its finding the name that outlives moves."""
    assert ids(flaw("CWE-78")) == ids(flaw("CWE-78"), flaw("CWE-78", context="", scanner="two"))


@pytest.mark.parametrize(
    ("sightings", "expected"),
    [
        ([leak("f1"), leak("f1", path="b.ini", commit="c0ffee")], 1),
        ([leak("f1"), leak("f2", scanner="two")], 1),
        ([leak("f1"), leak("f2", line=4)], 2),
        ([leak("f1"), leak("f2", commit="c0ffee")], 2),
        ([leak("f1", line=None), leak("f2", line=None)], 2),
        ([misconfiguration(path="k/a.yaml"), misconfiguration(path="k/b.yaml")], 1),
        ([misconfiguration(path="k/a.yaml"), misconfiguration(path="l/a.yaml")], 2),
        ([misconfiguration(path="k/a.yaml"), misconfiguration(path="k/a.yaml", rule="CKV_K8S_9")], 2),
    ],
)
def test_secrets_and_resources(sightings: list[Sighting], expected: int) -> None:
    """A secret is one by its fingerprint or its line in the tree, a resource by rule, folder and address."""
    assert expected == len(ids(*sightings))


def test_readable_ids() -> None:
    """Ids of resources say rule, folder and address, and a slash in an address is no part of the path."""
    assert ids(misconfiguration(path="deploy/base/a.yaml")) == ["iac/CKV_K8S_8/deploy/base/Deployment.default.web"]
    assert ids(misconfiguration("a/b", path="a.tf")) == ["iac/CKV_K8S_8/./a%2Fb"]


def test_a_finding_names_all_that_saw_it() -> None:
    """The worst rating stands for the finding, the tree's places come first, and the category is the first of all."""
    low = advisory("CVE-1", severity=Severity.LOW, image="shop@sha256:1")
    (finding,) = merge([low, advisory("CVE-1", scanner="two", severity=Severity.CRITICAL)])

    assert (finding.scanners, finding.rating.severity) == (("one", "two"), Severity.CRITICAL)
    assert (finding.category, finding.foremost.scanner) == (Category.DEPENDENCY, "two")
    assert len(finding.spots) == 2


@given(st.lists(drawn, min_size=1, max_size=8))
def test_an_id_is_a_name_of_its_own_sightings(sightings: list[Sighting]) -> None:
    """What a finding is called, one of its sightings is called too, or an alias that its package shares."""
    for finding in merge(sightings):
        own = {name for each in finding.sightings for name in names(each)}
        by_alias = isinstance(finding.sightings[0].subject, Advisory) and finding.id.endswith(finding.ids[0])

        assert unnumbered(finding.id)[0] in own or by_alias


@given(st.integers(1, 99))
def test_numbers_come_back(copy: int) -> None:
    """The number of a copy is read out of its id, and only out of one of code."""
    name = names(replace(flaw("CWE-78"), subject=Flaw(cwes=("CWE-78",))))[0]

    assert unnumbered(numbered(name, copy)) == (name, copy)
    assert unnumbered("pypi/a/CVE-2024-2") == ("pypi/a/CVE-2024-2", 1)
    assert unnumbered("code/CWE-78") == ("code/CWE-78", 1)
