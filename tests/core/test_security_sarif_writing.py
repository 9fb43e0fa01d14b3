"""Findings as SARIF, and its split into what GitHub takes."""

import gzip
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sarif_pydantic import Sarif

from tasks.core.security.baseline import compare
from tasks.core.security.findings import Finding, Location, ScannerRating, Status
from tasks.core.security.merging import merge
from tasks.core.security.policy import judge
from tasks.core.security.sarif_limits import GITHUB, Limits, split_sarif
from tasks.core.security.sarif_reading import read_sarif
from tasks.core.security.settings import SecuritySettings
from tasks.core.security.sightings import Category, Severity, Sighting
from tests.core.sarif_reports import schema
from tests.core.sightings import many


@dataclass(frozen=True)
class Told:
    findings: tuple[Finding, ...]


def finding(**more: Any) -> Finding:
    values: dict[str, Any] = {
        "id": "code/CWE-78/0123456789ab",
        "category": Category.CODE,
        "severity": Severity.HIGH,
        "title": "A command",
        "location": "a.py:3",
        "scanners": ("bandit", "codeql"),
        "status": Status.OPEN,
        "blocks": True,
        "why": "it blocks",
        "rules": ("bandit:B602", "codeql:py/x"),
        "ids": ("CWE-78",),
        "locations": (Location(path="a b/ä.py", line=3, end_line=5),),
        "ratings": (
            ScannerRating(scanner="bandit", severity=Severity.HIGH),
            ScannerRating(scanner="codeql", severity=Severity.LOW, score=2.5),
        ),
        **more,
    }
    return Finding(**values)


def logs(*findings: Finding, scanned: tuple[Category, ...] = (), limits: Limits = GITHUB) -> list[dict[str, Any]]:
    return [json.loads(text) for text in split_sarif(Told(findings), scanned=scanned, limits=limits).files]


def only(made: Finding) -> tuple[dict[str, Any], dict[str, Any]]:
    """The only result with its rule."""
    (run,) = logs(made)[0]["runs"]
    (result,), (rule,) = run["results"], run["tool"]["driver"]["rules"]
    return result, rule


@given(many, st.none() | many)
def test_whatever_is_found_is_valid(sightings: list[Sighting], base: list[Sighting] | None) -> None:
    """Every finding but the fixed ones is in SARIF that the published schema and sarif-pydantic accept."""
    merged = merge(sightings)
    compared = compare(merged, None if base is None else merge(base))
    judged = judge(merged, compared=compared, settings=SecuritySettings(), today=date(2026, 1, 1))
    made = split_sarif(judged, scanned=Category)
    results = [result for text in made.files for run in json.loads(text)["runs"] for result in run["results"]]

    for text in made.files:
        assert [error.message for error in schema().iter_errors(json.loads(text))] == []
        assert Sarif.model_validate_json(text).version == "2.1.0"
    assert sorted(result["properties"]["id"] for result in results) == [each.id for each in merged]


def test_a_result() -> None:
    """A result names rule, level, place, scanners and id, and its URI is encoded."""
    result, rule = only(finding())
    place = result["locations"][0]["physicalLocation"]

    assert (result["ruleId"], result["level"], rule["id"]) == ("code/CWE-78/high", "error", "code/CWE-78/high")
    assert place["artifactLocation"]["uri"] == "a%20b/%C3%A4.py"
    assert place["region"] == {"startLine": 3, "endLine": 5}
    assert "Seen by bandit (high), codeql (low)." in result["message"]["text"]
    assert result["properties"]["scanners"] == ["bandit", "codeql"]
    assert rule["properties"]["tags"] == ["security", "code", "external/cwe/cwe-78"]


@pytest.mark.parametrize(
    ("more", "rule", "level", "score"),
    [
        ({}, "code/CWE-78/high", "error", "8.0"),
        ({"severity": Severity.LOW}, "code/CWE-78/low", "note", "2.5"),
        ({"severity": Severity.UNKNOWN}, "code/CWE-78/unknown", "warning", None),
        ({"severity": Severity.NONE}, "code/CWE-78/none", "note", "0.0"),
        ({"id": "secret/0123456789ab", "rules": ("gitleaks:aws",)}, "secret/aws/high", "error", "8.0"),
        ({"id": "iac/CKV_1/deploy/web", "severity": Severity.MEDIUM}, "iac/CKV_1/medium", "warning", "5.5"),
        ({"id": "npm/@a/b/CVE-1", "severity": Severity.CRITICAL}, "npm/@a/b/CVE-1", "error", "9.5"),
    ],
)
def test_rules(more: dict[str, Any], rule: str, level: str, score: str | None) -> None:
    """A rule is an advisory in a package, or a weakness, kind or check with one severity, and has a fitting score."""
    made, told = only(finding(**more))

    assert (rule, level) == (made["ruleId"], made["level"])
    assert score == told["properties"].get("security-severity")


def test_an_alert_stays_the_same() -> None:
    """The fingerprint rests on the id alone: not on place, title or rating, and no two ids share it."""
    one, _ = only(finding())
    moved, _ = only(finding(title="x", severity=Severity.LOW, locations=(Location(path="b.py", line=9),)))
    other, _ = only(finding(id="code/CWE-78/0123456789ab-2"))

    assert one["partialFingerprints"] == moved["partialFingerprints"] != other["partialFingerprints"]


@pytest.mark.parametrize(
    ("status", "state", "is_suppressed"),
    [
        (Status.NEW, "new", False),
        (Status.KNOWN, "unchanged", False),
        (Status.OPEN, None, False),
        (Status.WAIVED, None, True),
    ],
)
def test_statuses(status: Status, state: str | None, is_suppressed: bool) -> None:
    """New and known are SARIF's own states, and what is waived is suppressed with its reason."""
    result, _ = only(finding(status=status, why="accepted by ann"))

    assert state == result.get("baselineState")
    assert is_suppressed is any(each["justification"] == "accepted by ann" for each in result.get("suppressions", ()))


@pytest.mark.parametrize(
    ("place", "uri", "said"),
    [
        (Location(path="usr/lib/a", image="shop@sha256:1"), "usr/lib/a", "In image shop@sha256:1."),
        (Location(path="", image="shop@sha256:1"), "shop", "In image"),
        (Location(path="a.py", commit="c0ffee"), "a.py", "In commit c0ffee"),
        (Location(path="/etc/x:y"), "etc/x%3Ay", "Seen by"),
        (Location(path=""), "towpath.toml", "Seen by"),
    ],
)
def test_places(place: Location, uri: str, said: str) -> None:
    """Every result has a file, and says the image or commit that it is in."""
    result, _ = only(finding(locations=(place,)))

    assert uri == result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert said in result["message"]["text"]


def test_scanners_words_are_no_markup() -> None:
    """Markdown in a remedy is shown as it stands, and an address that is none is no link."""
    _, rule = only(finding(remedy="![x](http://y)", url="javascript:alert(1)"))

    assert rule["help"]["markdown"].startswith("\\!\\[x\\]")
    assert "helpUri" not in rule


def test_what_is_written_can_be_read() -> None:
    """Our own reader finds what was written, and passes over what is waived."""
    (log,) = logs(finding(), finding(id="code/CWE-79/0", status=Status.WAIVED))
    reading = read_sarif(json.dumps(log), "towpath", Category.CODE)

    assert [sighting.rating.severity for sighting in reading.sightings] == [Severity.HIGH]
    assert reading.sightings[0].spot.path == "a b/ä.py"


def test_empty_runs_only_for_what_was_scanned() -> None:
    """A scanned category without findings has an empty run, which closes its alerts; one that was not has none."""
    (log,) = logs(finding(), scanned=(Category.CODE, Category.SECRET))

    assert [run["automationDetails"]["id"] for run in log["runs"]] == ["towpath/code/", "towpath/secret/"]
    assert log["runs"][1]["results"] == []


def numbered(count: int, **more: Any) -> tuple[Finding, ...]:
    return tuple(finding(id=f"code/CWE-78/{number:012x}", **more) for number in range(count))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 5), st.integers(1, 4))
def test_nothing_is_lost_to_limits(code: int, secrets: int, results: int, runs: int) -> None:
    """Whatever the limits, they are kept, every finding is in exactly one run, and ids of runs differ."""
    limits = Limits(runs=runs, results=results)
    others = [
        finding(id=f"secret/{number:012x}", category=Category.SECRET, rules=("a:b",)) for number in range(secrets)
    ]
    findings = (*numbered(code), *others)
    files = logs(*findings, limits=limits)
    every = [run for log in files for run in log["runs"]]

    ids = Counter(result["properties"]["id"] for run in every for result in run["results"])

    assert ids == Counter(each.id for each in findings)
    assert all(len(log["runs"]) <= runs for log in files)
    assert all(len(run["results"]) <= results for run in every)
    assert len({run["automationDetails"]["id"] for run in every}) == len(every)


def test_the_most_severe_come_first() -> None:
    """In the order of the findings, earlier runs have the earlier ones."""
    files = logs(*numbered(5), limits=Limits(runs=1, results=2))
    order = [result["properties"]["id"] for log in files for run in log["runs"] for result in run["results"]]

    assert order == [each.id for each in numbered(5)]


def noise(seed: int, size: int) -> str:
    """Text that cannot be packed."""
    return "".join(hashlib.sha256(f"{seed} {number}".encode()).hexdigest() for number in range(size // 64))


def test_files_are_small_enough_when_packed() -> None:
    """A file that is too large when packed is halved until it fits, and what fits nowhere alone is said by its id."""
    findings = [finding(id=f"code/CWE-78/{seed:012x}", title=noise(seed, 6400)) for seed in range(20)]
    huge = finding(id="code/CWE-78/huge", title=noise(99, 200_000))
    made = split_sarif(Told((*findings, huge)), scanned=(), limits=Limits(packed_bytes=40_000))

    assert len(made.files) > 1
    assert all(len(gzip.compress(text.encode(), mtime=0)) <= 40_000 for text in made.files)
    assert sum(text.count('"ruleIndex"') for text in made.files) == 20
    assert made.left_out == ("SARIF: code/CWE-78/huge: left out, since it alone is larger than a file may be",)


def test_places_beyond_what_github_keeps_are_said() -> None:
    """Of a finding at more than 100 places the first 100 are written, and that is said."""
    places = tuple(Location(path=f"{number}.py") for number in range(101))
    made = split_sarif(Told((finding(locations=places),)), scanned=())

    assert len(json.loads(made.files[0])["runs"][0]["results"][0]["locations"]) == 100
    assert made.left_out == ("SARIF: code/CWE-78/0123456789ab: only the first 100 places are in it",)


def test_the_fixed_are_left_to_github() -> None:
    """A fixed finding is in no run, by which GitHub knows that it is fixed."""
    assert logs(finding(status=Status.FIXED), scanned=(Category.CODE,))[0]["runs"][0]["results"] == []
