"""Leases as values: who is dead is told by one's own clock and by what one has seen, and by nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.cluster.leases import (
    DEAD_SECONDS,
    Leased,
    Sighting,
    claimed,
    freed,
    held,
    leased_from,
    lifted,
    renewed,
    sighted,
)
from tasks.core.intent import Intent, why_undo_watched
from tasks.core.records import Kind
from tasks.core.safekeeping import Claim, Hold
from tests.core.deliveries import a_release

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CLAIM = Claim("token", "Ann", "a canary of v2", "run-1", NOW.timestamp())
HOLD = Hold("Bob", "an incident", NOW.timestamp())
looks = st.lists(st.tuples(st.floats(0.1, 12.0), st.sampled_from("ab")), max_size=40)


@given(looks)
def test_silence(steps: list[tuple[float, str]]) -> None:
    """A Lease counts as silent only for a time in which it was seen again and again, and always with the same sign."""
    known: Sighting | None = None
    now, since, before, last = 100.0, 100.0, "", 100.0
    for seconds, sign in steps:
        now += seconds
        if sign != before or now - last > 10.0:
            since = now
        before, last = sign, now
        known = sighted(known, sign, now)
        assert known.silent_seconds == pytest.approx(now - since)


def test_a_watch_that_was_away() -> None:
    """Seconds in which the watcher saw nothing count for nothing."""
    known = sighted(sighted(None, "a", 0.0), "a", 9.0)
    assert known.silent_seconds == 9.0
    assert sighted(known, "a", 40.0).silent_seconds == 0.0


def test_a_clock_that_ran_backwards() -> None:
    """A watcher whose clock began anew begins anew too."""
    assert sighted(Sighting("a", 100.0, 120.0), "a", 5.0).silent_seconds == 0.0


def test_a_life() -> None:
    """A Lease says who took it, what for, that it lives and for how long, and nothing of it when it is free."""
    lease = claimed({"metadata": {"name": "lock"}}, CLAIM, process="process 7", now=NOW)
    taken = leased_from(lease)
    assert (taken.token, taken.who, taken.reason, taken.run, taken.process) == (
        "token",
        "Ann",
        "a canary of v2",
        "run-1",
        "process 7",
    )
    later = leased_from(renewed(lease, left_seconds=12.34, now=NOW + timedelta(seconds=2)))
    assert (later.left_seconds, later.sign == taken.sign, later.token) == (12.3, False, "token")
    assert leased_from(freed(lease)) == Leased()
    assert leased_from(claimed(freed(lease), CLAIM, process="process 8", now=NOW)).sign == taken.sign


def test_a_hold_outlives_holders() -> None:
    """A person's hold stays when the lock is given back, and is gone when it is lifted; the list of both stays."""
    lease = freed(held(claimed({}, CLAIM, process="process 7", now=NOW), HOLD))
    assert leased_from(lease) == Leased(hold=HOLD)
    over = lifted(lease, Hold("Ann", "it is over", NOW.timestamp()))
    assert leased_from(over).hold is None
    assert over["metadata"]["annotations"]["towpath.dev/holds"].count("who") == 2


@pytest.mark.parametrize(
    ("renewed_at", "seems_dead"),
    [("2026-11-25T12:00:00.000000Z", False), ("2026-11-25T11:59:44.000000Z", True), ("2027-01-01T00:00:00Z", False)],
)
def test_seems_dead(renewed_at: str, seems_dead: bool) -> None:
    """An old last sign of life is a reason to watch; one from the future is none."""
    assert Leased(token="token", renewed=renewed_at).seems_dead(NOW.timestamp()) is seems_dead


@pytest.mark.parametrize("renewed_at", ["", "yesterday"])
def test_unreadable_moment(renewed_at: str) -> None:
    """A moment that cannot be read is a reason to watch as well."""
    assert Leased(token="token", renewed=renewed_at).seems_dead(NOW.timestamp())


def test_never_there() -> None:
    """A Lease that was never made is nobody's."""
    assert leased_from(None) == Leased()
    assert DEAD_SECONDS > 2 * 2.0, "a holder beats each 2 s and may miss one"


@pytest.mark.parametrize(
    ("silent_seconds", "left_seconds", "said"),
    [
        pytest.param(14.9, 60.0, "", id="alive"),
        pytest.param(0.0, None, "", id="no word yet"),
        pytest.param(15.0, 60.0, "no sign of life for 15 s", id="silent"),
        pytest.param(1.0, 0.0, "not finished 600 s after it began", id="late"),
    ],
)
def test_why_undo(silent_seconds: float, left_seconds: float | None, said: str) -> None:
    """From another machine a change is undone for its silence as it was watched, or by its own word that it is late."""
    intent = Intent(
        token="token",
        target="shop",
        environment="production",
        kind=Kind.CANARY,
        release=a_release("v2"),
        run="run-1",
        who="Ann",
        boot="another machine's",
        began=5.0,
        began_at=NOW.timestamp(),
        deadline=605.0,
    )
    why = why_undo_watched(intent, silent_seconds=silent_seconds, left_seconds=left_seconds)
    assert said in why
    assert bool(why) is bool(said)
