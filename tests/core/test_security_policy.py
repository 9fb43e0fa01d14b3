"""The gate over findings."""

from datetime import date, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.security.baseline import compare
from tasks.core.security.findings import Status
from tasks.core.security.merging import merge
from tasks.core.security.policy import Judged, judge
from tasks.core.security.settings import CategoryPolicy, SecuritySettings, WaiverSettings
from tasks.core.security.severity import LEVELS, as_level
from tasks.core.security.sightings import Category, Severity, Sighting
from tasks.core.security.vex import read_vex
from tests.core.sightings import advisory, drawn, flaw, leak, many, misconfiguration

TODAY = date(2026, 5, 1)
VEX = (
    '{"@context": "https://openvex.dev/ns", "timestamp": "2026-01-01T00:00:00Z", "statements":'
    ' [{"vulnerability": "CVE-2024-1", "status": "not_affected", "justification": "component_not_present"}]}'
)
STATEMENTS = read_vex("vex.json", VEX)


def waiver(identity: str, expires: date = TODAY + timedelta(days=9)) -> WaiverSettings:
    return WaiverSettings(identity=identity, owner="ann", reason="not reachable", expires=expires)


def judged(
    sightings: list[Sighting],
    base: list[Sighting] | None = None,
    *,
    waivers: list[WaiverSettings] | None = None,
    vex: bool = False,
    **configured: Any,
) -> Judged:
    merged = merge(sightings)
    return judge(
        merged,
        compared=compare(merged, None if base is None else merge(base)),
        settings=SecuritySettings(**configured),
        today=TODAY,
        waivers=waivers or (),
        statements=STATEMENTS if vex else (),
    )


policies = st.builds(
    CategoryPolicy,
    block_on=st.none() | st.sampled_from(LEVELS),
    findings=st.none() | st.sampled_from(["new", "all"]),
)
configurations = st.fixed_dictionaries(
    {
        "block_on": st.sampled_from(LEVELS),
        "findings": st.sampled_from(["new", "all"]),
        "block_unknown_as": st.sampled_from(Severity),
        "categories": st.dictionaries(st.sampled_from(Category), policies, max_size=2),
    }
)
bases = st.none() | many


@given(many, drawn, bases, configurations, st.booleans(), st.data())
@settings(max_examples=400)
def test_adding_a_sighting_never_opens_the_gate(
    sightings: list[Sighting],
    more: Sighting,
    base: list[Sighting] | None,
    configured: dict[str, Any],
    vex: bool,
    data: st.DataObject,
) -> None:
    """A gate that is shut stays shut whatever else is seen, under any policy, base, waivers and VEX."""
    names = [finding.id for finding in merge([*sightings, more])]
    waivers = [waiver(name) for name in data.draw(st.lists(st.sampled_from(names), max_size=4))]
    before = judged(sightings, base, waivers=waivers, vex=vex, **configured)
    after = judged([*sightings, more], base, waivers=waivers, vex=vex, **configured)

    assert before.passes or not after.passes


@given(st.lists(drawn, min_size=1, max_size=8), bases, configurations, st.data())
def test_removing_a_waiver_never_opens_the_gate(
    sightings: list[Sighting], base: list[Sighting] | None, configured: dict[str, Any], data: st.DataObject
) -> None:
    """A gate that is shut with a waiver is shut without it."""
    names = [finding.id for finding in merge(sightings)]
    waivers = [waiver(name) for name in data.draw(st.lists(st.sampled_from(names), min_size=1))]

    assert judged(sightings, base, waivers=waivers[1:], **configured).passes <= (
        judged(sightings, base, waivers=waivers, **configured).passes
    )


@given(many, many, configurations, st.data())
def test_bases_waivers_and_vex_only_reduce(
    sightings: list[Sighting], base: list[Sighting], configured: dict[str, Any], data: st.DataObject
) -> None:
    """What blocks with a base, waivers and VEX blocks without them too."""
    waivers = [waiver(finding.id) for finding in merge(sightings) if data.draw(st.booleans())]
    with_all = judged(sightings, base, waivers=waivers, vex=True, **configured)
    alone = judged(sightings, **configured)

    assert {finding.id for finding in with_all.blocking} <= {finding.id for finding in alone.blocking}


@given(many, bases, configurations)
def test_every_finding_is_listed(
    sightings: list[Sighting], base: list[Sighting] | None, configured: dict[str, Any]
) -> None:
    """Each finding is listed once with a reason, the worst first and the fixed ones last; only open ones block."""
    findings = judged(sightings, base, **configured).findings
    unknown_as = configured["block_unknown_as"]
    here = [finding for finding in findings if finding.status is not Status.FIXED]
    levels = [LEVELS.index(as_level(finding.severity, unknown_as)) for finding in here]

    assert {finding.id for finding in here} == {finding.id for finding in merge(sightings)}
    assert findings[: len(here)] == tuple(here)
    assert levels == sorted(levels, reverse=True)
    assert all(finding.why and finding.scanners and finding.title for finding in findings)
    assert not any(finding.blocks for finding in findings if finding.status in (Status.FIXED, Status.WAIVED))


HIGH, LOW, UNKNOWN = Severity.HIGH, Severity.LOW, Severity.UNKNOWN


@pytest.mark.parametrize(
    ("severity", "configured", "blocks"),
    [
        (Severity.CRITICAL, {}, True),
        (HIGH, {}, False),
        (UNKNOWN, {}, False),
        (UNKNOWN, {"block_on": HIGH}, True),
        (UNKNOWN, {"block_on": HIGH, "block_unknown_as": LOW}, False),
        (UNKNOWN, {"block_unknown_as": UNKNOWN}, True),
        (Severity.NONE, {"block_on": Severity.NONE}, True),
        (Severity.NONE, {"block_on": LOW}, False),
        (HIGH, {"categories": {"code": {"block_on": "medium"}}}, True),
        (HIGH, {"categories": {"secret": {"block_on": "medium"}}}, False),
        (HIGH, {"block_on": LOW, "categories": {"code": {"block_on": "critical"}}}, False),
    ],
)
def test_thresholds(severity: Severity, configured: dict[str, Any], blocks: bool) -> None:
    """A finding blocks from its category's threshold on, and an unrated one as it is configured to count."""
    assert blocks is not judged([flaw("CWE-78", severity=severity)], **configured).passes


@pytest.mark.parametrize(
    ("wanted", "base", "status", "blocks"),
    [
        ("new", None, Status.OPEN, True),
        ("new", [], Status.NEW, True),
        ("new", [flaw("CWE-78")], Status.KNOWN, False),
        ("all", [flaw("CWE-78")], Status.KNOWN, True),
        ("all", [], Status.NEW, True),
    ],
)
def test_new_or_all(wanted: Literal["new", "all"], base: list[Sighting] | None, status: Status, blocks: bool) -> None:
    """Under `new` what the base has does not block; without a base everything counts."""
    (finding,) = judged([flaw("CWE-78")], base, block_on=HIGH, findings=wanted).findings

    assert (status, blocks) == (finding.status, finding.blocks)


def test_an_unrated_sighting_counts_beside_a_mild_one() -> None:
    """That somebody rates a problem low does not make harmless what another one could not rate."""
    sightings = [advisory("CVE-1", severity=LOW), advisory("CVE-1", scanner="two", severity=UNKNOWN)]
    (finding,) = judged(sightings, block_on=HIGH).findings

    assert (finding.severity, finding.blocks) == (LOW, True)
    assert "unrated, which counts as high" in finding.why


def test_a_finding_of_two_categories() -> None:
    """A package in a lock file and in an image blocks where either category blocks."""
    both = [advisory("CVE-1"), advisory("CVE-1", image="shop@sha256:1")]
    (finding,) = judged(both, categories={"container": {"block_on": "high"}}).findings

    assert finding.blocks
    assert finding.category is Category.DEPENDENCY


def test_statuses_of_what_is_accepted() -> None:
    """A finding is waived when all that would block is accepted, by waiver or VEX, and says by whom and why."""
    seen = [advisory("CVE-2024-1", package="a"), flaw("CWE-78")]
    (code,) = (finding for finding in merge(seen) if finding.category is Category.CODE)
    outcome = judged(seen, waivers=[waiver(code.id)], vex=True, block_on=HIGH)

    assert [finding.status for finding in outcome.findings] == [Status.WAIVED, Status.WAIVED]
    assert {finding.why for finding in outcome.findings} == {
        "accepted by ann until 2026-05-10: not reachable",
        "VEX: not affected: component_not_present (vex.json)",
    }
    assert outcome.passes


def test_half_accepted_is_not_waived() -> None:
    """Where one of two sightings is accepted the finding blocks."""
    seen = [advisory("CVE-1"), advisory("CVE-1", "CVE-2", scanner="two"), advisory("CVE-2")]
    (finding,) = judged(seen, waivers=[waiver("pypi/jinja2/CVE-1")], block_on=HIGH).findings

    assert (finding.status, finding.blocks) == (Status.OPEN, True)


def test_problems_of_waivers_are_told() -> None:
    """A waiver that does nothing is said beside the findings."""
    assert "matches nothing" in judged([], waivers=[waiver("pypi/a/CVE-1")]).waiver_problems[0]


def test_what_is_published() -> None:
    """A finding says its package, versions, fixes, names, ratings and places, and never a secret's fingerprint."""
    found = judged([advisory("CVE-1", "GHSA-x"), leak("0123abcd"), misconfiguration(path="k/a.yaml")]).findings
    package = next(finding for finding in found if finding.package)

    assert (package.package, package.version, package.ids) == ("jinja2", "3.1.2", ("CVE-1", "GHSA-x"))
    assert (package.id, package.names) == ("pypi/jinja2/CVE-1", ("pypi/jinja2/GHSA-x",))
    assert (package.rules, package.location) == (("one:CVE-1",), "uv.lock")
    assert package.ratings[0].severity is HIGH
    assert not any("0123abcd" in finding.model_dump_json() for finding in found)
