"""Ratings from vectors, scores and words, and their order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.security.severity import LEVELS, as_level, at_least, most_severe, rating_of, score_of_vector
from tasks.core.security.sightings import Rating, Severity

WORST = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


@pytest.mark.parametrize(
    ("vector", "score", "label", "expected"),
    [
        (f"CVSS:3.1/{WORST}", None, "low", (Severity.CRITICAL, 9.8)),
        (f"CVSS:3.0/{WORST}", None, None, (Severity.CRITICAL, 9.8)),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", None, None, (Severity.CRITICAL, 9.3)),
        ("(AV:N/AC:L/Au:N/C:P/I:P/A:P)", None, None, (Severity.HIGH, 7.5)),
        ("AV:N/AC:L/Au:N/C:C/I:C/A:C", None, None, (Severity.CRITICAL, 10.0)),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", None, None, (Severity.NONE, 0.0)),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", None, "high", (Severity.HIGH, None)),
        ("CVSS:3.1/AV:N", None, "moderate", (Severity.MEDIUM, None)),
        ("CVSS:9/what", 7.0, "low", (Severity.HIGH, 7.0)),
        ("", 6.9, "high", (Severity.MEDIUM, 6.9)),
        ("", 0.0, "note", (Severity.LOW, None)),
        ("", float("nan"), "LOW", (Severity.LOW, None)),
        ("", 11.0, "", (Severity.UNKNOWN, None)),
        ("", None, "UNDEFINED", (Severity.UNKNOWN, None)),
        ("", None, None, (Severity.UNKNOWN, None)),
        ("", None, "none", (Severity.NONE, None)),
    ],
)
def test_ratings(vector: str, score: float | None, label: str | None, expected: tuple[Severity, float | None]) -> None:
    """The vector counts before the score before the word, and what is broken or says 0 beside a word is passed over."""
    rating = rating_of(source="nvd", vector=vector, score=score, label=label)

    assert expected == (rating.severity, rating.score)


@given(st.text(max_size=60))
def test_any_vector_is_a_score_or_none(text: str) -> None:
    """No text breaks the reader of vectors."""
    for prefix in ("", "CVSS:3.1/", "CVSS:4.0/"):
        score = score_of_vector(prefix + text)

        assert score is None or 0 <= score <= 10


@given(st.sampled_from(Severity), st.sampled_from(LEVELS), st.sampled_from(LEVELS))
def test_a_lower_threshold_stops_more(severity: Severity, one: Severity, other: Severity) -> None:
    """What reaches a threshold reaches each below it, everything reaches none, and unknown reaches all."""
    low, high = sorted((one, other), key=LEVELS.index)

    assert at_least(severity, low) or not at_least(severity, high)
    assert at_least(severity, Severity.NONE)
    assert at_least(severity, Severity.UNKNOWN)
    assert at_least(Severity.UNKNOWN, one)


@pytest.mark.parametrize(
    ("severity", "unknown_as", "expected"),
    [
        (Severity.LOW, Severity.HIGH, Severity.LOW),
        (Severity.UNKNOWN, Severity.MEDIUM, Severity.MEDIUM),
        (Severity.UNKNOWN, Severity.UNKNOWN, Severity.CRITICAL),
    ],
)
def test_unknown_is_no_level(severity: Severity, unknown_as: Severity, expected: Severity) -> None:
    """An unknown severity counts as it was told to, and as the worst where it was not."""
    assert expected == as_level(severity, unknown_as)


def test_the_most_severe_is_the_worst_known() -> None:
    """What somebody rated stands before what nobody rated, and the worst before the rest."""
    low, high, unknown = (
        Rating(severity=severity, source="s") for severity in (Severity.LOW, Severity.HIGH, Severity.UNKNOWN)
    )

    assert high == most_severe([low, high, unknown])
    assert low == most_severe([unknown, low])
    assert unknown == most_severe([unknown])
