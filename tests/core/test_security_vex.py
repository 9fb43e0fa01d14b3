"""OpenVEX documents, and what their statements mean."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.security.purls import Purl, read_purl
from tasks.core.security.sightings import Sighting
from tasks.core.security.vex import by_advisory, read_vex, suppressing
from tasks.core.settings import SettingsRefused
from tests.core.sightings import advisory, flaw

OURS = {"name": "CVE-1", "aliases": ["GHSA-x"]}
SEEN = advisory("CVE-1")
IN_IMAGE = advisory("CVE-1", package="zlib", ecosystem="debian 12", image="registry/shop@sha256:1", version="1.2")


def document(*statements: dict[str, Any], **more: Any) -> str:
    head = {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "author": "a", "version": 1}
    return json.dumps({**head, "timestamp": "2026-01-01T00:00:00Z", **more, "statements": statements})


def statement(status: str = "not_affected", **more: Any) -> dict[str, Any]:
    reason = {"justification": "component_not_present"} if status == "not_affected" else {}
    return {"vulnerability": OURS, "status": status, **reason, **more}


def is_suppressed(sighting: Sighting, *documents: str) -> bool:
    statements = [each for number, text in enumerate(documents) for each in read_vex(f"{number}.json", text)]
    return suppressing(sighting, by_advisory(statements)) is not None


@pytest.mark.parametrize(
    ("sighting", "told", "expected"),
    [
        (SEEN, statement(), True),
        (SEEN, statement("fixed"), True),
        (SEEN, statement("affected"), False),
        (SEEN, statement("under_investigation"), False),
        (SEEN, statement(vulnerability="cve-1"), True),
        (SEEN, statement(vulnerability={"@id": "https://nvd.example/CVE-1"}), True),
        (SEEN, statement(vulnerability={"name": "CVE-2"}), False),
        (advisory("GHSA-X"), statement(), True),
        (flaw("CWE-78"), statement(), False),
    ],
)
def test_statements(sighting: Sighting, told: dict[str, Any], expected: bool) -> None:
    """Only not_affected and fixed suppress, and only an advisory that one of the names means."""
    assert expected is is_suppressed(sighting, document(told))


@pytest.mark.parametrize(
    ("sighting", "products", "expected"),
    [
        (SEEN, [], True),
        (SEEN, ["pkg:pypi/Jinja2"], True),
        (SEEN, [{"@id": "pkg:pypi/jinja2@3.1.2"}], True),
        (SEEN, [{"@id": "pkg:pypi/jinja2@3.1.3"}], False),
        (SEEN, [{"@id": "pkg:npm/jinja2"}], False),
        (SEEN, [{"@id": "pkg:pypi/other"}, {"@id": "pkg:pypi/jinja2"}], True),
        (SEEN, [{"identifiers": {"purl": "pkg:pypi/jinja2"}}], True),
        (SEEN, [{"@id": "https://example.org/shop"}], False),
        (SEEN, [{"@id": "https://example.org/shop", "subcomponents": [{"@id": "pkg:pypi/jinja2"}]}], True),
        (SEEN, [{"@id": "pkg:oci/shop", "subcomponents": [{"@id": "pkg:pypi/jinja2"}]}], False),
        (SEEN, [{"@id": "pkg:pypi/jinja2", "subcomponents": [{"@id": "pkg:pypi/markupsafe"}]}], False),
        (IN_IMAGE, ["pkg:oci/shop@sha256%3A1?repository_url=registry"], True),
        (IN_IMAGE, ["pkg:oci/shop@sha256%3A2"], False),
        (IN_IMAGE, ["pkg:oci/other"], False),
        (IN_IMAGE, ["pkg:deb/debian/zlib@1.2?arch=amd64"], True),
        (IN_IMAGE, ["pkg:deb/ubuntu/zlib@1.2"], False),
        (IN_IMAGE, [{"@id": "pkg:oci/shop", "subcomponents": ["pkg:deb/debian/zlib"]}], True),
        (advisory("CVE-1", package="@babel/core", ecosystem="npm"), ["pkg:npm/%40babel/core@3.1.2"], True),
        (advisory("CVE-1", package="@babel/core", ecosystem="npm"), ["pkg:npm/@babel/core"], True),
    ],
)
def test_products(sighting: Sighting, products: list[Any], expected: bool) -> None:
    """A statement counts for the package, version, image or part of an image that its products mean."""
    assert expected is is_suppressed(sighting, document(statement(products=products)))


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        (statement(), statement("affected"), False),
        (statement("affected"), statement("fixed"), True),
    ],
)
def test_the_newest_statement_decides(earlier: dict[str, Any], later: dict[str, Any], expected: bool) -> None:
    """Of several statements the last one counts, whatever document it is in and in what order they are read."""
    old, new = document(earlier), document({**later, "timestamp": "2026-02-01T00:00:00+01:00"})

    assert expected is is_suppressed(SEEN, old, new) is is_suppressed(SEEN, new, old)


def test_at_the_same_time_the_stricter_counts() -> None:
    """Of two statements of the same time the one that does not suppress wins."""
    assert not is_suppressed(SEEN, document(statement(), statement("affected")))
    assert not is_suppressed(SEEN, document(statement("affected"), statement()))


def test_the_reason_is_told() -> None:
    """A statement says its status, justification and document."""
    (read,) = read_vex("a.openvex.json", document(statement()))

    assert str(read) == "not affected: component_not_present (a.openvex.json)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("[" * 100_000, "recursion"),
        ("{}", "lacks '@context'"),
        ("[]", "indices"),
        (document().replace("openvex.dev", "cyclonedx.org"), "@context is not that of OpenVEX"),
        (document(statement("maybe")), "'maybe' is not a valid VexStatus"),
        (document({"status": "fixed"}), "lacks 'vulnerability'"),
        (document({"vulnerability": OURS, "status": "not_affected"}), "without a justification"),
        (document(statement(vulnerability={})), "names no vulnerability"),
        (document(statement(timestamp="soon")), "soon"),
        (document(statement(products=[{}])), "neither @id nor purl"),
        (document(statement(), timestamp=None), "argument must be str"),
    ],
)
def test_refusals(text: str, said: str) -> None:
    """A document that cannot be read is refused in one line with its name."""
    with pytest.raises(SettingsRefused) as refused:
        read_vex("a.json", text)

    assert str(refused.value).startswith("a.json: no OpenVEX document that can be read")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.integers(0, 1000))
def test_a_document_cut_short_is_refused(length: int) -> None:
    """However early a document ends, it is refused."""
    text = document(statement(), statement("fixed"))
    with pytest.raises(SettingsRefused):
        read_vex("a.json", text[: min(length, len(text) - 1)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pkg:golang/github.com/a/b@v1#sub", Purl("golang", "github.com/a/b", "v1")),
        ("pkg://pypi/a@1%2B2?x=y", Purl("pypi", "a", "1+2")),
        ("PKG:NPM/a", Purl("npm", "a")),
        ("pkg:pypi", None),
        ("pkg:pypi/@1", None),
        ("https://example.org/a", None),
        ("", None),
    ],
)
def test_package_urls(text: str, expected: Purl | None) -> None:
    """Type, namespace with name, and version of a package URL, or nothing."""
    assert expected == read_purl(text)


@given(st.text(max_size=40))
def test_any_text_is_a_package_url_or_none(text: str) -> None:
    """No text breaks the reader of package URLs."""
    for prefix in ("", "pkg:", "pkg:pypi/"):
        read = read_purl(prefix + text)

        assert read is None or (read.kind and read.name)
