"""SARIF as CodeQL documents it, and every way in which a report is no clean answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.adapters.scanners.code_queries import CODEQL, LANGUAGES, REPORT, arguments, create_arguments
from tasks.adapters.scanners.own_scanner import own_scanner
from tasks.adapters.scanners.sarif_reports import read_sarif
from tasks.core.security.scanner import Scan, ScanReading
from tasks.core.security.settings import ScannerSettings
from tasks.core.security.sightings import Category, Flaw, Leak, Misconfiguration, Severity
from tasks.core.tools.contract import Meaning, Output, Unreadable


def _report(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    rule = {
        "id": "py/command-line-injection",
        "properties": {"security-severity": "9.8", "tags": ["security", "external/cwe/cwe-078"]},
    }
    lines = {"ruleId": "py/summary/lines-of-code", "value": 120}
    run = {
        "tool": {"driver": {"name": "CodeQL"}, "extensions": [{"name": "codeql/python-queries", "rules": [rule]}]},
        "invocations": [{"executionSuccessful": True}],
        "properties": {"metricResults": [lines]},
        "results": list(results),
        **more,
    }
    return {"version": "2.1.0", "runs": [run]}


def _result(**more: Any) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": "app/a.py"}, "region": {"startLine": 9, "endLine": 10}}
    found = {"ruleId": "py/command-line-injection", "message": {"text": "This command depends on a user."}}
    return {**found, "locations": [{"physicalLocation": place}], **more}


def _read(report: dict[str, Any], category: Category = Category.CODE) -> ScanReading:
    return read_sarif(json.dumps(report), "codeql", category)


def test_a_result_is_a_sighting() -> None:
    """Place, rule, CWE and GitHub's own score of a result are read, and lines of code are what was looked at."""
    reading = CODEQL.read(Output("", "", {REPORT: json.dumps(_report(_result()))}), Scan())
    (sighting,) = reading.sightings

    assert (sighting.rule, str(sighting.spot), sighting.spot.end_line) == (
        "py/command-line-injection",
        "app/a.py:9",
        10,
    )
    assert sighting.subject == Flaw(cwes=("CWE-78",))
    assert (sighting.rating.severity, sighting.rating.score) == (Severity.CRITICAL, 9.8)
    assert reading.looked_at == 120


def test_what_was_suppressed_is_said() -> None:
    """An accepted suppression hides a result and is counted; one under review does not hide it."""
    accepted, open_one = {"kind": "inSource"}, {"kind": "external", "status": "underReview"}
    reading = _read(_report(_result(suppressions=[accepted]), _result(suppressions=[open_one])))

    assert len(reading.sightings) == 1
    assert reading.notes == ("1 finding suppressed in its report",)


def test_an_error_on_the_way_is_a_gap() -> None:
    """What a tool tells as an error about its own run is named as skipped."""
    told = {"level": "error", "message": {"text": "b.py cannot be parsed"}}
    invocation = {"executionSuccessful": True, "toolExecutionNotifications": [told]}

    assert _read(_report(invocations=[invocation])).skipped == ("b.py cannot be parsed",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"version": "2.1.0", "runs": []}',
        '{"version": "2.0.0", "runs": [{"results": []}]}',
        '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}}]}',
        json.dumps(_report(invocations=[{"executionSuccessful": False}])),
        "[" * 100_000,
    ],
)
def test_what_is_no_answer_is_unreadable(text: str) -> None:
    """No run, another version, a run without results or one that failed is never a clean answer."""
    with pytest.raises(Unreadable):
        read_sarif(text, "own", Category.CODE)


@given(st.integers(0, 2000))
def test_a_report_cut_short_is_unreadable(length: int) -> None:
    """However a report ends early, it cannot be read."""
    text = json.dumps(_report(_result(), _result()))
    with pytest.raises(Unreadable):
        read_sarif(text[: min(length, len(text) - 1)], "own", Category.CODE)


def test_the_category_decides_the_subject() -> None:
    """The same result is a resource or a leak where the scanner is one of infrastructure or of secrets."""
    report = _report(_result())
    (resource,) = _read(report, Category.INFRASTRUCTURE).sightings
    (secret,) = _read(report, Category.SECRET).sightings

    assert resource.subject == Misconfiguration(resource="app/a.py")
    assert isinstance(secret.subject, Leak)
    assert len(secret.subject.fingerprint) == 40


@pytest.mark.parametrize("language", LANGUAGES)
def test_codeql_takes_two_steps_and_builds_nothing(language: str) -> None:
    """A database without a build, then the security queries of that language over the same database."""
    scan = Scan(options={"language": (language,)})
    created, analysed = create_arguments(scan), arguments(scan)

    assert created[:2] == ("database", "create")
    assert "--build-mode=none" in created
    assert f"--language={language}" in created
    assert created[2] == analysed[2]
    assert f"{language}-security-extended" in analysed[3]


def test_an_own_scanner_is_as_configured() -> None:
    """Exit codes, category, network and report are those of the configuration; no rules means no bait."""
    settings = ScannerSettings(
        command=("semgrep", "--output={scratch}/a.sarif"), sarif="a.sarif", network=True, exit_codes={"3": "findings"}
    )
    scanner = own_scanner("semgrep", settings)

    assert (scanner.program, scanner.arguments(Scan())) == ("semgrep", ("--output=/scratch/a.sarif",))
    assert (scanner.meaning(3), scanner.meaning(0)) == (Meaning.FINDINGS, Meaning.BROKEN)
    assert (scanner.reports, scanner.needs_network, scanner.bait) == (("a.sarif",), True, None)
