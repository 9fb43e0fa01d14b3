"""When an instance gets traffic, when it loses it, and when it is started again."""

from tasks.core.health import Health, Judgement, Probes, judged
from tasks.core.restarts import (
    FIRST_PAUSE_SECONDS,
    HEALTHY_SECONDS,
    LONGEST_PAUSE_SECONDS,
    failures_after,
    pause_seconds,
)

WELL = Probes("", "")
UNREADY = Probes("it answers 503", "")
DEAD = Probes("no answer", "no answer")


def after(*rounds: Probes, health: Health | None = None, seconds_up: float = 1.0) -> Health:
    found = health or Health()
    for probes in rounds:
        found = judged(found, probes, seconds_up=seconds_up, start_seconds=10)
    return found


def test_an_instance_is_ready_with_its_first_good_answer() -> None:
    """One good answer is enough the first time."""
    assert after(DEAD, DEAD, DEAD, DEAD).judgement is Judgement.WAITING
    assert after(DEAD, WELL).judgement is Judgement.READY


def test_an_instance_that_is_never_ready_is_started_again_when_its_time_is_up() -> None:
    """The note says how long it had and what it said."""
    found = after(UNREADY, seconds_up=10)
    assert found.judgement is Judgement.RESTART
    assert found.note == "not ready within 10 s: it answers 503"


def test_a_busy_moment_takes_no_traffic_away() -> None:
    """One miss is forgiven, two are not, and one good answer gives the traffic back."""
    assert after(WELL, UNREADY).judgement is Judgement.READY
    lost = after(WELL, UNREADY, UNREADY)
    assert (lost.judgement, lost.note) == (Judgement.WAITING, "not ready: it answers 503")
    assert after(WELL, health=lost).judgement is Judgement.READY


def test_unready_is_not_dead() -> None:
    """An instance that only says it is not ready is left to recover for as long as it takes."""
    assert after(WELL, *[UNREADY] * 50, seconds_up=999).judgement is Judgement.WAITING


def test_three_misses_in_a_row_are_a_restart() -> None:
    """Two and a good answer are not."""
    assert after(WELL, DEAD, DEAD, WELL, DEAD, DEAD).judgement is not Judgement.RESTART
    found = after(WELL, DEAD, DEAD, DEAD)
    assert (found.judgement, found.note) == (Judgement.RESTART, "not alive: no answer")


def test_pauses_grow_and_stay_bounded() -> None:
    """The first restart hardly waits, and no failure makes the wait longer than the longest."""
    pauses = [pause_seconds(failures) for failures in range(1, 60)]
    assert pauses[0] == FIRST_PAUSE_SECONDS
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    assert pause_seconds(0) == 0


def test_what_was_up_for_long_starts_counting_anew() -> None:
    """A failure after a healthy time is a first one."""
    assert failures_after(7, seconds_up=HEALTHY_SECONDS) == 1
    assert failures_after(7, seconds_up=HEALTHY_SECONDS - 1) == 8
