"""When a scanner's answer counts, by tables; and the date of a vulnerability database."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.conclusion import Finished
from tasks.core.outcome import Verdict
from tasks.core.security.believing import believe, is_bill, took_bait
from tasks.core.security.database import UnreadableDate, date_of
from tasks.core.security.scanner import Bait, Origin, Scan, Scanner, ScanReading
from tasks.core.security.sightings import Category, Flaw, Rating, Severity, Sighting, Spot
from tasks.core.tools.contract import Meaning, Output, Unreadable

SEEN = Sighting(
    scanner="looker",
    category=Category.CODE,
    rule="R1",
    title="wrong",
    rating=Rating(severity=Severity.HIGH, source="looker"),
    spot=Spot(path="a.py", line=1),
    subject=Flaw(),
)


def read(output: Output, scan: Scan) -> ScanReading:
    """`N` looked at, `N!` with a sighting, `?` skipped, anything else unreadable."""
    text = output.stdout
    if not text.rstrip("!?").isdecimal():
        raise Unreadable("its report cannot be read")
    return ScanReading(
        sightings=(SEEN,) if "!" in text else (),
        looked_at=int(text.rstrip("!?")),
        skipped=("part: it is broken",) if "?" in text else (),
    )


LOOKER = Scanner(
    name="looker",
    program="looker",
    categories=(Category.CODE,),
    origin=Origin.NOWHERE,
    exits={0: Meaning.RAN, 1: Meaning.FINDINGS},
    arguments=lambda scan: (),
    read=read,
)


@pytest.mark.parametrize(
    ("exit_code", "stdout", "verdict", "words"),
    [
        (0, "3", Verdict.PASSED, "nothing found in 3"),
        (1, "3!", Verdict.PASSED, "1 sightings"),
        (0, "3!", Verdict.PASSED, "1 sightings"),
        (0, "0", Verdict.ERROR, "looked at nothing"),
        (0, "0?", Verdict.ERROR, "it skipped part"),
        (1, "3", Verdict.ERROR, "its report names nothing"),
        (1, "", Verdict.ERROR, "cannot be read; it said: error: no such database"),
        (2, "3", Verdict.ERROR, "an exit code it is not known for"),
        (137, "3", Verdict.ERROR, "exit code 137"),
        (None, "3", Verdict.ERROR, "did not finish"),
    ],
)
def test_an_answer_counts_only_when_all_agrees(
    exit_code: int | None, stdout: str, verdict: Verdict, words: str
) -> None:
    """Exit code, report and a sign of work must agree; everything else is an error in words."""
    belief = believe(LOOKER, Finished(exit_code), Output(stdout, "error: no such database"), Scan())
    assert belief.outcome.verdict is verdict
    assert words in belief.outcome.reason
    assert (belief.reading is not None) == (verdict is Verdict.PASSED)


@given(st.integers(2, 255), st.text())
def test_an_unknown_exit_code_is_never_clean(exit_code: int, stdout: str) -> None:
    """Whatever stands in the report, an exit code outside the table is an error."""
    assert believe(LOOKER, Finished(exit_code), Output(stdout, ""), Scan()).outcome.verdict is Verdict.ERROR


def test_what_a_scanner_printed_is_not_quoted() -> None:
    """A broken secret scanner's standard output may hold secrets, so no reason quotes it."""
    belief = believe(LOOKER, Finished(3), Output("error: s3cret", ""), Scan())
    assert "s3cret" not in belief.outcome.reason


@pytest.mark.parametrize(
    ("stdout", "rules", "verdict"),
    [("1!", {"R1", "R9"}, Verdict.PASSED), ("1!", {"R2"}, Verdict.ERROR), ("1", {"R1"}, Verdict.ERROR)],
)
def test_a_scanner_that_misses_its_bait_is_an_error(stdout: str, rules: set[str], verdict: Verdict) -> None:
    """One of the bait's rules must be reported; another finding, or none, means that silence means nothing."""
    belief = believe(LOOKER, Finished(0), Output(stdout, ""), Scan())
    outcome = took_bait(belief, Bait(files={}, scan=Scan(), rules=frozenset(rules)))
    assert outcome.verdict is verdict


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ('{"bomFormat": "CycloneDX", "components": []}', True),
        ('{"bomFormat": "CycloneDX"}', False),
        ('{"bomFormat": "SPDX", "components": []}', False),
        ('{"bomFormat": "CycloneDX", "comp', False),
        ("[]", False),
        ("", False),
    ],
)
def test_only_a_whole_bill_is_one(text: str, is_one: bool) -> None:
    """A bill of materials that is cut short, or of another format, is none."""
    assert is_bill(text) is is_one


def test_the_date_of_a_database() -> None:
    """Go's nanoseconds and zones are read; age and due date follow from them."""
    date = date_of('{"UpdatedAt": "2026-11-24T06:00:00.123456789Z", "NextUpdate": "2026-11-25T07:00:00+01:00"}')
    now = datetime(2026, 11, 25, 6, tzinfo=UTC)
    assert date.age_hours(now) == pytest.approx(24, abs=0.01)
    assert date.is_due(now)
    assert not date.is_due(now - timedelta(minutes=1))
    assert date.age_hours(now - timedelta(days=2)) < 0


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"UpdatedAt": 3, "NextUpdate": 4}', '{"UpdatedAt": "x"}'])
def test_a_database_without_a_date_has_none(text: str) -> None:
    """Metadata that cannot be read is refused, never taken for a date."""
    with pytest.raises(UnreadableDate):
        date_of(text)
