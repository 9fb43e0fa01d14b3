"""What a forge is told of a run: tables for its words, laws for labels and batches."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.forge.checks import annotations_of, batches, checks_of, conclusion_of, started_check, stopped_check
from tasks.core.forge.comments import is_marked, label_change, mark, marked, remembered_labels, with_labels
from tasks.core.forge.patience import retry_seconds
from tasks.core.forge.words import Conclusion, Level
from tasks.core.origin import Origin
from tasks.core.outcome import Verdict
from tasks.core.results import CheckResult, Place, Report

PULL = Origin(repository="a/b", commit="c" * 40, pull_request=7, base="main")
PUSH = Origin(repository="a/b", commit="c" * 40)
NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


def report(*checks: CheckResult, verdict: Verdict = Verdict.FAILED) -> Report:
    return Report(
        target="t",
        name="shop",
        revision="c0ffee",
        dirty=False,
        verdict=verdict,
        reason="because",
        seconds=1.0,
        started="2026-11-25T00:00:00+00:00",
        run="http://p/run",
        checks=checks,
    )


@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_blocks_is_red_and_nothing_else(verdict: Verdict) -> None:
    """A conclusion is a failure just where the verdict blocks, and a skipped check is no success."""
    conclusion = conclusion_of(verdict)
    assert (conclusion is Conclusion.FAILURE) == verdict.blocks
    assert (conclusion is Conclusion.SUCCESS) == (verdict is Verdict.PASSED)


def test_a_run_and_each_of_its_checks_are_told() -> None:
    """One check for the run and one for each check, under keys that differ from those of other runs and flows."""
    told = checks_of(
        report(
            CheckResult(id="backend/ruff", verdict=Verdict.FAILED, reason="2 problems", remedy="ruff check --fix"),
            CheckResult(id="backend/mypy", verdict=Verdict.PASSED, reason="clean"),
        ),
        PULL,
        run_id="r1",
    )
    assert [(check.key, check.name, str(check.conclusion)) for check in told] == [
        ("r1/ci", "towpath / ci", "failure"),
        ("r1/ci/backend/ruff", "ci / backend/ruff", "failure"),
        ("r1/ci/backend/mypy", "ci / backend/mypy", "success"),
    ]
    assert "to do: ruff check --fix" in told[1].summary
    assert (
        started_check("ci", "r1", "", PULL).key
        == told[0].key
        == stopped_check("ci", "r1", "", PULL, reason="x", is_cancelled=True).key
    )


def test_a_push_is_not_taken_for_a_pull_request() -> None:
    """The same commit's checks have other names for a push, since the base's rules did not decide there."""
    one = report(CheckResult(id="a/b", verdict=Verdict.PASSED, reason="clean"))
    names = [{check.name for check in checks_of(one, origin, run_id="r")} for origin in (PUSH, PULL)]
    assert names == [{"towpath / ci (push)", "ci (push) / a/b"}, {"towpath / ci", "ci / a/b"}]


def test_places_are_annotations() -> None:
    """What blocks is loud, what does not is a warning or a notice; without a line it is at the first; once each."""
    place = Place(path="a.py", line=None, message="wrong", code="E1")
    failed = CheckResult(id="c", verdict=Verdict.FAILED, reason="r", problems=(place, place), gaps=(place,))
    assert [(one.line, one.level, one.title) for one in annotations_of(failed)] == [
        (1, Level.FAILURE, "c E1"),
        (1, Level.NOTICE, "c E1"),
    ]
    passed = CheckResult(id="c", verdict=Verdict.PASSED, reason="r", problems=(place,))
    assert [one.level for one in annotations_of(passed)] == [Level.WARNING]


def test_long_texts_are_shortened_and_say_so() -> None:
    """A reason of a megabyte fits, and ends with the word that it was cut."""
    check = CheckResult(id="c", verdict=Verdict.ERROR, reason="x" * 1_000_000)
    (_, told) = checks_of(report(check), PULL, run_id="r")
    assert len(told.title) == 200
    assert len(told.summary) == 60_000
    assert told.summary.endswith("(shortened)")


@given(st.lists(st.integers()), st.integers(1, 60))
def test_batches_hold_everything_in_order(items: list[int], size: int) -> None:
    """Nothing is lost, added or moved, and no batch is larger than allowed."""
    made = batches(items, size)
    assert [item for batch in made for item in batch] == items
    assert all(len(batch) <= size for batch in made)
    assert made


labels = st.frozensets(st.text(max_size=12))


@given(labels, labels, labels, labels)
def test_labels_of_people_stay(
    present: frozenset[str], wanted: frozenset[str], pool: frozenset[str], own: frozenset[str]
) -> None:
    """Only what Towpath set is removed, only the pool is added, and a second time changes nothing."""
    change = label_change(present=present, wanted=wanted, pool=pool, own=own)
    assert change.removed <= own & present & pool
    assert change.added <= (wanted & pool) - present
    after = (present | change.added) - change.removed
    assert wanted & pool <= after
    assert present - own <= after
    again = label_change(present=after, wanted=wanted, pool=pool, own=change.own)
    assert (again.added, again.removed, again.own) == (frozenset(), frozenset(), change.own)


@given(labels, labels, st.text(max_size=200))
def test_a_comment_remembers_labels(first: frozenset[str], second: frozenset[str], text: str) -> None:
    """Whatever the labels' names, they are read back as written, and changing them changes nothing else."""
    body = marked(text, name="pr", labels=first)
    assert is_marked(body, "pr")
    assert remembered_labels(body) == first - {""}
    changed = with_labels(body, second)
    assert remembered_labels(changed) == second - {""}
    assert changed.endswith(text)
    assert with_labels(changed, first) == body


def test_a_comment_fits() -> None:
    """A text of a megabyte is cut to what a forge takes, and a name that is no name is refused."""
    assert len(marked("x" * 1_000_000, name="pr")) <= 60_000
    with pytest.raises(ValueError, match="small letters"):
        mark("--> <b>")


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (200, {}, "", None),
        (403, {}, "Resource not accessible", None),
        (403, {"retry-after": "12"}, "", 12.0),
        (403, {"retry-after": "Wed, 25 Nov 2026 12:00:30 GMT"}, "", 30.0),
        (403, {"retry-after": "Wed, 25 Nov 2026 11:00:00 GMT"}, "", 0.0),
        (403, {"retry-after": "soon"}, "", None),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 90)}, "", 90.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "x"}, "", 60.0),
        (403, {"x-ratelimit-remaining": "10"}, "You have exceeded a secondary rate limit", 60.0),
        (429, {}, "", 60.0),
        (500, {}, "", 4.0),
        (503, {"retry-after": "5"}, "", 5.0),
        (401, {"retry-after": "5"}, "", None),
        (404, {}, "", None),
        (422, {}, "", None),
    ],
)
def test_when_to_ask_again(status: int, headers: dict[str, str], body: str, expected: float | None) -> None:
    """Retry-After first, then the reset, then a minute; what is refused for good is not asked again."""
    assert retry_seconds(status, headers, body=body, attempt=2, now=NOW) == expected
