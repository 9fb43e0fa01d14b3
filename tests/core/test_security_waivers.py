"""Waivers: what they accept, and which do nothing."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.security.baseline import compare
from tasks.core.security.findings import Finding
from tasks.core.security.merging import merge
from tasks.core.security.policy import judge
from tasks.core.security.settings import SecuritySettings, WaiverSettings
from tasks.core.security.sightings import Severity, Sighting
from tasks.core.security.waivers import accepted, read_waivers, suggested_waiver, waiver_problems
from tasks.core.settings import SettingsRefused
from tests.core.sightings import advisory, drawn, flaw, leak, many

TODAY = date(2026, 5, 1)
LATER = TODAY + timedelta(days=30)


def waiver(identity: str, *aliases: str, expires: date = LATER) -> WaiverSettings:
    return WaiverSettings(identity=identity, aliases=aliases, owner="ann", reason="not reachable", expires=expires)


def findings(*sightings: Sighting) -> tuple[Finding, ...]:
    settings = SecuritySettings(block_on=Severity.NONE)
    merged = merge(sightings)
    return judge(merged, compared=compare(merged, None), settings=settings, today=TODAY).findings


def is_accepted(sighting: Sighting, *waivers: WaiverSettings, beside: tuple[Sighting, ...] = ()) -> bool:
    return accepted(merge([sighting, *beside]), waivers, TODAY).of(sighting) is not None


@pytest.mark.parametrize(
    ("ids", "given", "expected"),
    [
        (("CVE-1",), waiver("pypi/jinja2/CVE-1"), True),
        (("GHSA-x", "CVE-1"), waiver("pypi/jinja2/CVE-1"), True),
        (("GHSA-x",), waiver("pypi/jinja2/CVE-1"), False),
        (("GHSA-x",), waiver("pypi/jinja2/CVE-1", "ghsa-X"), True),
        (("GHSA-x",), waiver("pypi/jinja2/CVE-1", "pypi/jinja2/GHSA-x"), True),
        (("CVE-1",), waiver("pypi/other/CVE-1"), False),
        (("CVE-1",), waiver("pypi/jinja2/CVE-1", expires=TODAY), False),
        (("CVE-1",), waiver("pypi/jinja2/CVE-1", expires=TODAY + timedelta(days=1)), True),
        (("CVE-1",), waiver("pypi/jinja2/CVE-1", expires=TODAY + timedelta(days=180)), True),
        (("CVE-1",), waiver("pypi/jinja2/CVE-1", expires=TODAY + timedelta(days=181)), False),
    ],
)
def test_what_a_waiver_accepts(ids: tuple[str, ...], given: WaiverSettings, expected: bool) -> None:
    """A waiver accepts by the sighting's own names or its aliases, from today until it expires, at most 180 days."""
    assert expected is is_accepted(advisory(*ids), given)


def test_a_bridge_hides_nothing() -> None:
    """A sighting that ties a waived problem to another one is waived itself, and the other one is not."""
    bridge, other = advisory("CVE-1", "CVE-2", scanner="two"), advisory("CVE-2")
    waived = waiver("pypi/jinja2/CVE-1")

    assert len(merge([bridge, other, advisory("CVE-1")])) == 1
    assert is_accepted(bridge, waived, beside=(other,))
    assert not is_accepted(other, waived, beside=(bridge,))


def test_another_copy_is_not_accepted() -> None:
    """A waiver of one copy of a fragment does not count when there are two; one of the last copy accepts both."""
    first, second = flaw("CWE-78"), flaw("CWE-78", path="b.py")
    one, two = (found.id for found in merge([first, second]))

    assert is_accepted(first, waiver(one))
    assert not is_accepted(first, waiver(one), beside=(second,))
    assert is_accepted(first, waiver(two), beside=(second,))
    assert is_accepted(second, waiver(one), waiver(two), beside=(first,))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (waiver("pypi/jinja2/CVE-1"), None),
        (waiver("pypi/jinja2/CVE-9", "CVE-1"), None),
        (waiver("unscanned/pip-audit/a"), None),
        (waiver("pypi/jinja2/CVE-9"), "matches nothing"),
        (waiver("pypi/jinja2/CVE-1", expires=TODAY), "expired on 2026-05-01"),
        (waiver("pypi/jinja2/CVE-1", expires=TODAY + timedelta(days=181)), "at most 2026-10-28"),
    ],
)
def test_problems(given: WaiverSettings, said: str | None) -> None:
    """A waiver that is expired, reaches too far or matches nothing is said in one line."""
    problems = waiver_problems(merge([advisory("CVE-1")]), [given], TODAY, others=["unscanned/pip-audit/a"])

    assert list(problems) == [] if said is None else said in problems[0]
    assert len(problems) <= 1
    assert "\n" not in "".join(problems)


def test_a_waiver_of_too_few_copies_is_said() -> None:
    """Where copies are not all accepted the problem names the identity that accepts them all."""
    found = merge([flaw("CWE-78"), flaw("CWE-78", path="b.py")])
    (problem,) = waiver_problems(found, [waiver(found[0].id)], TODAY)

    assert f"only a waiver of {found[1].id} accepts all" in problem


@given(st.lists(drawn, min_size=1, max_size=6))
def test_a_suggested_waiver_accepts(sightings: list[Sighting]) -> None:
    """What is suggested for each finding can be read, accepts all of its sightings, and does what it says."""
    suggested = "".join(suggested_waiver(each, today=TODAY, owner="a", reason="b") for each in findings(*sightings))
    waivers = read_waivers("w.toml", suggested)
    acceptance = accepted(merge(sightings), waivers, TODAY)

    assert all(acceptance.of(sighting) for sighting in sightings)
    assert waiver_problems(merge(sightings), waivers, TODAY) == ()


@given(st.lists(drawn, min_size=1, max_size=6), st.data())
def test_one_suggestion_suffices_for_its_finding(sightings: list[Sighting], data: st.DataObject) -> None:
    """A finding's own suggestion alone accepts all of its sightings."""
    finding = data.draw(st.sampled_from(merge(sightings)))
    (published,) = (each for each in findings(*sightings) if each.id == finding.id)
    waivers = read_waivers("w.toml", suggested_waiver(published, today=TODAY, owner="a", reason="b"))
    acceptance = accepted(merge(sightings), waivers, TODAY)

    assert all(acceptance.of(sighting) for sighting in finding.sightings)


@given(many, drawn)
def test_another_sighting_accepts_nothing(sightings: list[Sighting], more: Sighting) -> None:
    """What waivers do not accept is not accepted when one more sighting is there."""
    waivers = [waiver(finding.id) for finding in merge(sightings)][::2]
    before = accepted(merge(sightings), waivers, TODAY)
    after = accepted(merge([*sightings, more]), waivers, TODAY)
    for sighting in sightings:
        assert before.of(sighting) or not after.of(sighting)


@given(st.text(), st.text())
def test_any_text_can_be_suggested(owner: str, reason: str) -> None:
    """Whatever characters names have, the suggestion is TOML and gives them back."""
    (finding,) = findings(leak("f1"))
    text = suggested_waiver(finding, today=TODAY, owner=owner + "x", reason=reason + "x")
    (read,) = read_waivers("w.toml", text)

    assert (read.owner, read.reason, read.identity) == (owner + "x", reason + "x", finding.id)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[waivers]\n", "w.toml is not valid TOML"),
        ("[run]\nparallelism = 2\n", "w.toml: unknown key run; known here: waivers"),
        ("[[waivers]]\nidentiy = 'a'\n", "w.toml: unknown key waivers.0.identiy; did you mean identity?"),
        ("[[waivers]]\nidentity = 'a'\nowner = 'b'\nreason = 'c'\n", "w.toml: waivers.0.expires: Field required"),
        ("waivers = 3\n", "w.toml: waivers"),
    ],
)
def test_refusals(text: str, said: str) -> None:
    """A file of waivers that cannot be used is refused in one line that names the key."""
    with pytest.raises(SettingsRefused) as refused:
        read_waivers("w.toml", text)

    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_an_unfilled_suggestion_is_refused() -> None:
    """A suggestion that nobody has put a name under is refused."""
    with pytest.raises(SettingsRefused, match="owner"):
        read_waivers("w.toml", suggested_waiver(findings(leak("f1"))[0], today=TODAY))


def test_a_finding_that_is_accepted_in_part_is_said() -> None:
    """Of a secret that two scanners name differently, a waiver of one name is told what it lacks."""
    sightings = (leak("one", scanner="one"), leak("two", scanner="two"))
    (merged,) = merge(sightings)
    (finding,) = findings(*sightings)
    other = next(name for name in finding.names if name != finding.id)
    (said,) = waiver_problems([merged], [waiver(finding.id)], TODAY)
    assert f'add aliases = ["{other}"]' in said
    assert waiver_problems([merged], [waiver(finding.id, other)], TODAY) == ()
