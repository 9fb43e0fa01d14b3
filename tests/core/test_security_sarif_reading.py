"""What a SARIF report says, and every way in which it is no answer."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.security.sarif_places import below_target
from tasks.core.security.sarif_reading import read_sarif
from tasks.core.security.scanner import ScanReading
from tasks.core.security.sightings import Category, Flaw, Leak, Misconfiguration, Severity, Sighting
from tasks.core.tools.contract import Unreadable
from tests.core.sarif_reports import RULE, at, report, result, schema


def read(content: dict[str, Any], category: Category = Category.CODE) -> ScanReading:
    return read_sarif(json.dumps(content), "tool", category)


def only(content: dict[str, Any], category: Category = Category.CODE) -> Sighting:
    (sighting,) = read(content, category).sightings
    return sighting


def test_a_result() -> None:
    """Rule, title, rating, weakness, place and address of a result come from it and from its rule."""
    content = report(result())
    sighting = only(content)

    assert schema().is_valid(content)
    assert (sighting.rule, sighting.title, str(sighting.spot)) == ("py/injection", "a user's text", "app/a.py:9")
    assert (sighting.rating.severity, sighting.rating.score) == (Severity.CRITICAL, 9.8)
    assert sighting.subject == Flaw(cwes=("CWE-78",))
    assert sighting.url == "https://example.org/injection"


@pytest.mark.parametrize(
    ("told", "rule", "expected"),
    [
        ({"level": "error"}, {}, Severity.HIGH),
        ({"level": "note"}, {}, Severity.LOW),
        ({"level": "none"}, {}, Severity.NONE),
        ({}, {}, Severity.MEDIUM),
        ({}, {"defaultConfiguration": {"level": "error"}}, Severity.HIGH),
        ({"level": "note"}, {"defaultConfiguration": {"level": "error"}}, Severity.LOW),
        ({"level": "note"}, {"properties": {"security-severity": "7.5"}}, Severity.HIGH),
        ({"properties": {"security-severity": 4}}, {"properties": {"security-severity": "9.9"}}, Severity.MEDIUM),
        ({"level": "error"}, {"properties": {"security-severity": "bad"}}, Severity.HIGH),
        ({"level": "note"}, {"properties": {"security-severity": "0.0"}}, Severity.UNKNOWN),
        ({"level": "none"}, {"properties": {"security-severity": "0.0"}}, Severity.NONE),
        ({"level": "none", "kind": "review"}, {}, Severity.UNKNOWN),
    ],
)
def test_severity(told: dict[str, Any], rule: dict[str, Any], expected: Severity) -> None:
    """The score counts before the level, the result before its rule, and 0 beside a level means unrated."""
    assert expected == only(report(result(**told), rules=({"id": "py/injection", **rule},))).rating.severity


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"ruleId": "a"}, "CWE-1"),
        ({"ruleId": "a/part"}, "CWE-1"),
        ({"ruleIndex": 1}, "CWE-2"),
        ({"rule": {"index": 0}}, "CWE-1"),
        ({"rule": {"id": "c", "index": 0, "toolComponent": {"index": 0}}}, "CWE-3"),
        ({"rule": {"id": "c"}}, "CWE-3"),
        ({"ruleId": "b", "ruleIndex": 99}, "CWE-2"),
        ({"ruleId": "unknown"}, None),
        ({}, None),
    ],
)
def test_rules_are_found(reference: dict[str, Any], expected: str | None) -> None:
    """A rule is found by id, by index, by a part of its id, and in an extension."""
    rules = [{"id": name, "properties": {"tags": [f"CWE-{number}: x"]}} for number, name in enumerate("abc", start=1)]
    tool = {"driver": {"name": "t", "rules": rules[:2]}, "extensions": [{"name": "e", "rules": rules[2:]}]}
    content = {"version": "2.1.0", "runs": [{"tool": tool, "results": [{"message": {"text": "x"}, **reference}]}]}

    assert only(content).subject == Flaw(cwes=(expected,) if expected else ())


def test_weaknesses_by_taxonomy() -> None:
    """A weakness is read from a rule's relationships and a result's taxa too, but only of the taxonomy CWE."""
    target = {"id": "78", "toolComponent": {"name": "CWE"}}
    other = {"id": "A03", "toolComponent": {"name": "OWASP"}}
    rule = {"id": "py/injection", "relationships": [{"target": target}, {"target": other}]}
    found = only(report(result(taxa=[{"id": "CWE-88", "toolComponent": {"name": "cwe"}}]), rules=(rule,)))

    assert found.subject == Flaw(cwes=("CWE-78", "CWE-88"))


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("app/a.py", "app/a.py"),
        ("./app/../a.py", "a.py"),
        ("app/with%20space%2Fx.py", "app/with space/x.py"),
        ("file:///target/app/a.py", "app/a.py"),
        ("file://localhost/target/a.py", "a.py"),
        ("file:/target/a.py", "a.py"),
        ("/target/a.py", "a.py"),
        ("/scratch/rendered.yaml", "rendered.yaml"),
        ("/targeted/a.py", "/targeted/a.py"),
        ("file:///etc/passwd", "/etc/passwd"),
        ("../out.py", "../out.py"),
        ("app\\a.py", "app/a.py"),
        ("https://example.org/a.py", "https://example.org/a.py"),
        (".", ""),
        ("", ""),
    ],
)
def test_uris(uri: str, expected: str) -> None:
    """URIs are decoded and seen from the target's root; what lies outside stays where it is."""
    assert expected == below_target(uri)


def test_bases_and_lists_of_files() -> None:
    """A URI stands behind its bases, one after the other, and may be told by its place in the list of files."""
    bases = {"SRC": {"uri": "src/", "uriBaseId": "ROOT"}, "ROOT": {"uri": "file:///target/"}}
    located = {"physicalLocation": {"artifactLocation": {"index": 0}}}
    content = report(
        result(locations=[at("a.py", uriBaseId="SRC")]),
        result(locations=[at("b.py", uriBaseId="%SRCROOT%")]),
        result(locations=[located]),
        originalUriBaseIds=bases,
        artifacts=[{"location": {"uri": "c.py", "uriBaseId": "SRC"}}],
    )

    assert [sighting.spot.path for sighting in read(content).sightings] == ["src/a.py", "b.py", "src/c.py"]


def test_every_place_of_a_result() -> None:
    """A result at several places is a sighting at each, and one without a place is one too."""
    content = report(result(locations=[at("a.py"), at("b.py")]), result(locations=[]))

    assert [sighting.spot.path for sighting in read(content).sightings] == ["a.py", "b.py", ""]


def test_a_fingerprint_stands_for_lines_nobody_read() -> None:
    """A result's partial fingerprints tell its place, whatever its line."""
    moved = [result(partialFingerprints={"h": "1"}, locations=[at("a.py", line)]) for line in (1, 2)]
    one, two = read(report(*moved)).sightings
    other = only(report(result(partialFingerprints={"h": "2"})))

    assert one.spot.context == two.spot.context != other.spot.context


def test_messages_by_name() -> None:
    """A message may be its rule's, with arguments put in."""
    rule = {**RULE, "messageStrings": {"m": {"text": "{0} reaches {1} and {7}"}}}
    content = report(result(message={"id": "m", "arguments": ["it", "a shell"]}), rules=(rule,))

    assert only(content).title == "it reaches a shell and {7}"


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({"suppressions": [{"kind": "inSource"}]}, 0),
        ({"suppressions": [{"kind": "external", "status": "accepted"}]}, 0),
        ({"suppressions": [{"kind": "external", "status": "rejected"}]}, 1),
        ({"suppressions": [{"kind": "inSource"}, {"kind": "external", "status": "underReview"}]}, 1),
        ({"suppressions": []}, 1),
    ],
)
def test_suppressed_results(more: dict[str, Any], shown: int) -> None:
    """What was suppressed does not count and is said, by number and rule."""
    reading = read(report(result(**more)))

    assert shown == len(reading.sightings)
    assert shown or "suppressed in its report: 1 results (py/injection)" in reading.notes


@pytest.mark.parametrize("more", [{"kind": "pass"}, {"kind": "notApplicable"}, {"baselineState": "absent"}])
def test_results_that_are_no_problem(more: dict[str, Any]) -> None:
    """A check that passed, or a problem that is gone, is no sighting."""
    assert read(report(result(**more))).sightings == ()


def test_the_category_decides_the_subject() -> None:
    """Resources are told by their address, secrets by rule and place, and a secret's message is not its title."""
    content = report(result(locations=[{**at("a.tf"), "logicalLocations": [{"fullyQualifiedName": "aws.bucket"}]}]))
    secret = only(content, Category.SECRET)

    assert only(content, Category.INFRASTRUCTURE).subject == Misconfiguration(resource="aws.bucket")
    assert isinstance(secret.subject, Leak)
    assert secret.title == "Command injection"


def test_what_was_looked_at() -> None:
    """Lines that CodeQL counted, or files that are listed, were looked at; else it was one thing, and that is said."""
    metrics = [{"ruleId": "py/summary/lines-of-code", "value": 120}, {"ruleId": "py/other", "value": 7}]

    assert read(report(properties={"metricResults": metrics})).looked_at == 120
    assert read(report(artifacts=[{"location": {"uri": "a"}}] * 3)).looked_at == 3
    assert read(report()).looked_at == 1
    assert "does not say how much" in read(report()).notes[0]


def failed(**more: Any) -> dict[str, Any]:
    return report(result(), invocations=[more])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"version": "2.0.0", "runs": [{}]}, "of version 2.0.0"),
        ({"version": "2.1.0", "runs": []}, "holds no run"),
        ({"version": "2.1.0", "runs": None}, "holds no run"),
        ({"version": "2.1.0"}, "cannot be read"),
        ({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}}]}, "cannot be read"),
        (report(results=None), "cannot be read"),
        (report({"ruleId": "no message"}), "cannot be read"),
        (report(result(locations=[at("a", line="9")])), "cannot be read"),  # type: ignore[arg-type]
        (report(result(locations=[at("a", uriBaseId="A")]), originalUriBaseIds={"A": {"uriBaseId": "A"}}), "read"),
        (failed(executionSuccessful=False), "did not succeed"),
        (failed(), "did not succeed"),
        (
            failed(executionSuccessful=True, toolExecutionNotifications=[{"level": "error", "message": {"text": "b"}}]),
            "tool met an error: b",
        ),
        (
            failed(executionSuccessful=True, toolConfigurationNotifications=[{"level": "error", "message": {}}]),
            "an error that it does not explain",
        ),
        ([], "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_answer(content: Any, said: str) -> None:
    """Another version, no run, a run without results, one that failed or met an error, is never a clean answer."""
    with pytest.raises(Unreadable, match=said):
        read(content)


def test_a_warning_is_no_failure() -> None:
    """A tool that only warned has done its work."""
    told = {"level": "warning", "message": {"text": "slow"}}

    assert read(failed(executionSuccessful=True, toolExecutionNotifications=[told])).sightings


@given(st.integers(0, 2000))
def test_a_report_cut_short_is_unreadable(length: int) -> None:
    """However early a report ends, it cannot be read."""
    text = json.dumps(report(result(), result()))
    with pytest.raises(Unreadable):
        read_sarif(text[: min(length, len(text) - 1)], "tool", Category.CODE)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*RULE, "uri", "index"]), inner),
    max_leaves=8,
)


@given(_json, st.sampled_from(["ruleId", "locations", "suppressions", "level", "rule", "message", "properties"]))
def test_any_shape_is_read_or_unreadable(value: Any, key: str) -> None:
    """No shape of a result breaks the reader in another way than by being unreadable."""
    with suppress(Unreadable):
        assert read(report(result(**{key: value}))).looked_at


@pytest.mark.parametrize("text", ["", "  ", "[" * 100_000, "\ufeff{}", "null", "12"])
def test_other_text_is_unreadable(text: str) -> None:
    """Empty text, other JSON and JSON without an end are unreadable."""
    with pytest.raises(Unreadable):
        read_sarif(text, "tool", Category.CODE)
