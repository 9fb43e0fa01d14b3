"""A canary told afterwards: its curves, its report, and what other rules would have made of it."""

import math

import pytest

from tasks.core.backtest import Backtest, replay, replay_page
from tasks.core.canary_curves import curves_of
from tasks.core.canary_log import CanaryLog, changes_of, evidence_of, shifted, snapshot_line, snapshot_of
from tasks.core.canary_report import canary_page
from tasks.core.canary_settings import CanarySettings
from tasks.core.counters import Counters, Snapshot
from tasks.core.judge import Judge
from tasks.core.judgement import CanaryVerdict, Judgement
from tasks.core.rollout_words import Phase
from tests.core.deliveries import a_release

BOUNDS = (0.01, 0.1)


def steady(seconds: int, *, canary_errors: float, per_second: int = 20) -> list[Snapshot]:
    """A canary with a tenth of 10 x `per_second` requests a second, so many of whose requests fail."""
    looks = []
    for at in range(0, seconds + 1, 5):
        canary, stable = float(at * per_second), float(at * per_second * 9)
        arms = (
            {"c": Counters(canary, canary * canary_errors, 0, -60.0, (canary * 0.9, canary * 0.99, canary))},
            {"s": Counters(stable, 0.0, 0, -600.0, (stable * 0.9, stable * 0.99, stable))},
        )
        looks.append(Snapshot(float(at), 0.1, *arms, BOUNDS))
    return looks


def head(phase: Phase, *, after: float = 60.0) -> CanaryLog:
    return CanaryLog(
        target="shop",
        environment="production",
        run="run-1",
        release=a_release("v1.1.0"),
        stable="v1.0.0",
        settings=CanarySettings(),
        started="2026-11-25T00:00:00+00:00",
        phase=phase,
        why="as it was",
        ended_after_seconds=after,
    )


@pytest.mark.parametrize(
    ("errors", "happened", "decided", "agrees"),
    [
        pytest.param(0.2, Phase.ROLLED_BACK, "roll back", True, id="bad and rolled back"),
        pytest.param(0.2, Phase.PROMOTED, "roll back", False, id="bad and promoted by other rules"),
        pytest.param(0.0, Phase.PROMOTED, "pass", True, id="good and promoted"),
        pytest.param(0.0, Phase.ROLLED_BACK, "pass", False, id="good and rolled back by a person"),
    ],
)
def test_replay(errors: float, happened: Phase, decided: str, agrees: bool) -> None:
    """A recorded canary is judged by the same judge and machine, and compared with what happened."""
    found = replay(head(happened), steady(120, canary_errors=errors))

    assert (found.decided, found.agrees) == (decided, agrees)
    assert 0 < found.after_seconds < 120


def test_replay_knows_where_it_cannot_know() -> None:
    """Where the recording ends before the rules would have decided, that is undecided and not a guess."""
    found = replay(head(Phase.ROLLED_BACK), steady(10, canary_errors=0.0))

    assert found.decided == "undecided"
    assert not found.agrees


def test_stricter_rules_decide_later() -> None:
    """Other rules are really the ones that judge: more evidence asked for takes longer."""
    looks = steady(120, canary_errors=0.2)
    strict = CanarySettings.model_validate({"judge": {"alpha": 0.0001}})

    assert (
        replay(head(Phase.ROLLED_BACK), looks, strict).after_seconds
        >= replay(head(Phase.ROLLED_BACK), looks).after_seconds
    )
    backtest = Backtest((replay(head(Phase.ROLLED_BACK), looks),), unreadable=2)
    page = replay_page(backtest, environment="production", rules="these")
    assert "| v1.1.0 beside v1.0.0 | rolled-back after 60 s | roll back after" in page
    assert "2 recordings could not be read" in page


def test_curves() -> None:
    """Curves are differences between scrapes: per cent of the requests, and a percentile within its bucket."""
    curves = curves_of(steady(10, canary_errors=0.25))

    assert curves.at == (5.0, 10.0)
    assert curves.canary_errors == pytest.approx((25.0, 25.0))
    assert curves.stable_errors == (0.0, 0.0)
    assert curves.canary_p95 == pytest.approx((60.0, 60.0))


def test_what_was_not_measured_is_a_gap() -> None:
    """A missed scrape, no requests and no histogram are gaps in the curves, never zeros."""
    missed = [
        Snapshot(0.0, 0.1, {"c": Counters(0, 0)}, {"s": Counters(0, 0)}),
        Snapshot(5.0, 0.1, None, {"s": Counters(0, 0)}),
        Snapshot(10.0, 0.1, {"c": Counters(5, 1)}, {"s": Counters(5, 0)}),
    ]
    curves = curves_of(missed)

    assert all(math.isnan(value) for value in (*curves.canary_errors, *curves.canary_p95, curves.stable_errors[0]))
    assert curves.stable_errors[1] == 0.0


def test_an_instance_that_began_anew() -> None:
    """Counters that fell are counted from nothing, as for the judge."""
    looks = [
        Snapshot(0.0, 0.1, {"c": Counters(100, 50)}, {}),
        Snapshot(5.0, 0.1, {"c": Counters(10, 1)}, {}),
    ]

    assert curves_of(looks).canary_errors == (10.0,)


def judged(looks: list[Snapshot]) -> list[Judgement]:
    judge = Judge(CanarySettings().policy())
    return [judge.observe(look) for look in looks]


def test_the_report_begins_with_the_decision() -> None:
    """The page says the decision and its reason first, then the picture, then the numbers and every change."""
    judgements = judged(steady(60, canary_errors=0.2))
    page = canary_page(head(Phase.ROLLED_BACK), judgements, ["after 0 s: watching"], plot="data:image/png;base64,AA")
    lines = page.splitlines()

    assert lines[0] == "# Canary v1.1.0 beside v1.0.0 in production: rolled back after 60 s"
    assert lines[2] == "**as it was**"
    assert "](data:image/png;base64,AA)" in page
    assert [each.verdict for each in changes_of(judgements)][-1] is CanaryVerdict.FAIL
    assert "errors of" in evidence_of(judgements[-1])["canary"]


def test_a_canary_without_traffic_has_a_report_too() -> None:
    """A canary that never got traffic says so, instead of a table of nothing."""
    assert "It got no traffic" in canary_page(head(Phase.ROLLED_BACK), [], [], plot="")


def test_snapshots_keep_their_form() -> None:
    """What is written of a snapshot reads back the same, and moves to another clock whole."""
    (look,) = steady(0, canary_errors=0.0)
    moved = shifted(look, origin=-5.0, share=0.5)

    assert snapshot_of(snapshot_line(look)) == look
    assert (moved.at, moved.share) == (5.0, 0.5)
    assert moved.canary is not None
    assert moved.canary["c"].started == -55.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": [25, 5]}, "steps must rise"),
        ({"steps": [5, 5]}, "steps must rise"),
        ({"max_window_seconds": 10}, "must not be less than window_seconds"),
        ({"judge": {"share": 0.2}}, "share of the judge follows from"),
        ({"judge": {"deadline_seconds": 60}}, "deadline_seconds of the judge follows from"),
        ({"window_seconds": 10, "scrape_seconds": 5}, "has room for"),
    ],
)
def test_canary_settings_that_do_not_fit(settings: dict[str, object], said: str) -> None:
    """Settings that contradict each other are refused in words."""
    with pytest.raises(ValueError, match=said):
        CanarySettings.model_validate(settings)


def test_settings_are_read_back_as_they_were_written() -> None:
    """What a recorded canary says of its settings can be read again, whatever was set."""
    chosen = CanarySettings(steps=(5.0, 50.0), window_seconds=60.0, scrape_seconds=2.0)

    assert CanarySettings.model_validate(chosen.model_dump(mode="json")) == chosen
    assert chosen.longest_seconds == 180.0
    assert chosen.policy(has_latency=False).latency_weight == 0.0
