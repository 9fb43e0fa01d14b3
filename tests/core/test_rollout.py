"""The rollout machine: its course by examples, and what must hold whatever happens."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.judgement import CanaryVerdict
from tasks.core.rollout import BLIND, Rollout, advance
from tasks.core.rollout_plan import Otherwise, RolloutPlan
from tasks.core.rollout_words import (
    AbortAsked,
    Action,
    Approved,
    Ask,
    Began,
    Event,
    ExtendWindow,
    Happening,
    Judged,
    Phase,
    Place,
    Placed,
    Question,
    Rejected,
    Remove,
    Removed,
    ScaledUp,
    ScaleUp,
    SetWeight,
    TakeOver,
    Ticked,
    TookOver,
    WithdrawQuestion,
)

PASS, FAIL, WATCHING = CanaryVerdict.PASS, CanaryVerdict.FAIL, CanaryVerdict.WATCHING
INCONCLUSIVE = CanaryVerdict.INCONCLUSIVE
STEPS = RolloutPlan(steps=(5.0, 25.0, 50.0))
ASKS = RolloutPlan(on_inconclusive=Otherwise.ASK)


def judged(verdict: CanaryVerdict) -> Judged:
    return Judged(verdict, f"because of {verdict}")


def course(plan: RolloutPlan, *happenings: tuple[float, Happening]) -> tuple[Rollout, list[Action]]:
    """Where a rollout stands after what happened at those seconds, and all it asked to be done."""
    rollout, done = Rollout(plan=plan), list[Action]()
    for number, (now, what) in enumerate(happenings, start=1):
        rollout, actions = advance(rollout, Event(number, what), now)
        done += actions
    return rollout, done


START: tuple[tuple[float, Happening], ...] = ((0.0, Began()), (0.0, Placed()))


def test_a_good_canary() -> None:
    """A canary that passes is asked about, scaled up while it is watched, and takes over."""
    rollout, done = course(
        RolloutPlan(),
        *START,
        (70.0, judged(PASS)),
        (80.0, Approved("Ada")),
        (90.0, ScaledUp()),
        (91.0, TookOver()),
    )

    assert rollout.phase is Phase.PROMOTED
    assert rollout.weight == 100.0
    assert done == [
        Place(),
        SetWeight(10.0),
        Ask(Question.PROMOTE),
        WithdrawQuestion(),
        ScaleUp(),
        SetWeight(100.0),
        TakeOver(),
    ]


def test_a_bad_canary() -> None:
    """The first failing verdict takes the traffic away at once."""
    rollout, done = course(RolloutPlan(), *START, (20.0, judged(FAIL)), (21.0, Removed()))

    assert rollout.phase is Phase.ROLLED_BACK
    assert done[-2:] == [SetWeight(0.0), Remove()]
    assert rollout.why == "because of fail"


def test_steps_rise_one_by_one() -> None:
    """Each step needs a pass of its own and lasts as long as is asked, however often the verdict comes."""
    rollout, done = course(
        STEPS,
        *START,
        (30.0, judged(PASS)),
        (61.0, judged(PASS)),
        (62.0, judged(PASS)),
        (122.0, judged(PASS)),
        (123.0, judged(PASS)),
        (183.0, judged(PASS)),
    )

    assert [action for action in done if isinstance(action, SetWeight)] == [
        SetWeight(5.0),
        SetWeight(25.0),
        SetWeight(50.0),
    ]
    assert rollout.question is Question.PROMOTE


def test_nobody_is_asked_where_nobody_must_be() -> None:
    """Without approvals a passing canary is scaled up at once."""
    _, done = course(RolloutPlan(needs_approval=False), *START, (70.0, judged(PASS)))

    assert done[-1] == ScaleUp()


def test_more_time_for_a_canary_that_shows_neither() -> None:
    """An inconclusive window is extended window by window up to the bound, then rolled back."""
    rollout, done = course(
        RolloutPlan(),
        *START,
        (300.0, judged(INCONCLUSIVE)),
        (600.0, judged(INCONCLUSIVE)),
        (900.0, judged(INCONCLUSIVE)),
    )

    assert [action for action in done if isinstance(action, ExtendWindow)] == [ExtendWindow(600.0), ExtendWindow(900.0)]
    assert rollout.phase is Phase.UNDOING
    assert "not shown to be good within 900 s" in rollout.why


def test_a_person_may_promote_without_proof() -> None:
    """Where a team asks for it, an inconclusive end puts the evidence before a person, whose word promotes."""
    plan = replace(ASKS, max_window_seconds=300.0)

    asked, done = course(plan, *START, (300.0, judged(INCONCLUSIVE)))
    approved, _ = course(plan, *START, (300.0, judged(INCONCLUSIVE)), (310.0, Approved("Ada")))

    assert done[-1] == Ask(Question.PROMOTE_WITHOUT_PROOF)
    assert asked.phase is Phase.ASKING
    assert approved.phase is Phase.SCALING


@pytest.mark.parametrize("verdict", BLIND)
def test_what_cannot_be_judged_is_never_promoted(verdict: CanaryVerdict) -> None:
    """Without evidence at the end of the window a canary goes back, or a person may only have it watched on."""
    early, _ = course(RolloutPlan(), *START, (100.0, judged(verdict)))
    back, _ = course(RolloutPlan(), *START, (300.0, judged(verdict)))
    watched_on, done = course(ASKS, *START, (300.0, judged(verdict)), (320.0, Approved("Ada")))

    assert early.phase is Phase.WATCHING
    assert back.phase is Phase.UNDOING
    assert watched_on.phase is Phase.WATCHING
    assert done[-1] == ExtendWindow(620.0)


def test_it_turns_bad_while_people_are_asked() -> None:
    """A failing verdict while it waits for approval withdraws the question and takes the traffic away."""
    rollout, done = course(RolloutPlan(), *START, (70.0, judged(PASS)), (75.0, judged(FAIL)))

    assert rollout.phase is Phase.UNDOING
    assert done[-3:] == [SetWeight(0.0), WithdrawQuestion(), Remove()]
    assert "turned bad while it waited" in rollout.why


def test_an_approval_waits_for_the_verdict_to_hold() -> None:
    """Approved while the verdict has lapsed, it is promoted when the verdict is pass again, not before."""
    lapsed = (*START, (70.0, judged(PASS)), (75.0, judged(WATCHING)), (76.0, Approved("Ada")))

    held, _ = course(RolloutPlan(), *lapsed)
    again, _ = course(RolloutPlan(), *lapsed, (80.0, judged(PASS)))

    assert held.phase is Phase.ASKING
    assert "waits for a verdict that allows it, it is watching" in held.why
    assert again.phase is Phase.SCALING


@pytest.mark.parametrize("verdict", BLIND)
def test_a_persons_word_is_no_evidence_either(verdict: CanaryVerdict) -> None:
    """While there is nothing to judge by, an approval without proof waits, and so does a canary that was scaled up."""
    plan = replace(ASKS, max_window_seconds=300.0)
    asked = (*START, (300.0, judged(INCONCLUSIVE)), (305.0, judged(verdict)), (310.0, Approved("Ada")))
    scaled = (*START, (70.0, judged(PASS)), (71.0, Approved("Ada")), (72.0, judged(verdict)), (75.0, ScaledUp()))

    held, _ = course(plan, *asked)
    seen_again, _ = course(plan, *asked, (320.0, judged(INCONCLUSIVE)))
    waits, _ = course(RolloutPlan(), *scaled)
    takes_over, _ = course(RolloutPlan(), *scaled, (80.0, judged(WATCHING)))
    goes_back, _ = course(RolloutPlan(), *scaled, (380.0, judged(verdict)))

    assert (held.phase, seen_again.phase) == (Phase.ASKING, Phase.SCALING)
    assert (waits.phase, takes_over.phase, goes_back.phase) == (Phase.SCALING, Phase.PROMOTING, Phase.UNDOING)


def test_the_last_step_lasts_too() -> None:
    """No step is passed on the evidence of the one before, the last as little as the others."""
    plan = RolloutPlan(steps=(5.0, 50.0), needs_approval=False)
    risen = (*START, (61.0, judged(PASS)))

    early, _ = course(plan, *risen, (65.0, judged(PASS)))
    late, _ = course(plan, *risen, (121.0, judged(PASS)))

    assert (early.phase, late.phase) == (Phase.WATCHING, Phase.SCALING)


def test_a_question_expires() -> None:
    """A question that nobody answers in time rolls the canary back."""
    rollout, _ = course(replace(RolloutPlan(), approval_seconds=50.0), *START, (70.0, judged(PASS)), (120.0, Ticked()))

    assert rollout.phase is Phase.UNDOING
    assert rollout.why == "nobody approved it within 50 s"


def test_a_rejection() -> None:
    """A person's no takes it back, with that person's name and reason."""
    rollout, _ = course(RolloutPlan(), *START, (70.0, judged(PASS)), (71.0, Rejected("Ada", "not on a Friday")))

    assert rollout.phase is Phase.UNDOING
    assert rollout.why == "rejected by Ada: not on a Friday"


def test_it_turns_bad_while_it_is_scaled_up() -> None:
    """Approval is not the end of watching: until it has all of the traffic, a failing verdict takes it back."""
    rollout, _ = course(RolloutPlan(), *START, (70.0, judged(PASS)), (71.0, Approved("Ada")), (72.0, judged(FAIL)))

    assert rollout.phase is Phase.UNDOING


_PLANS = st.builds(
    RolloutPlan,
    steps=st.lists(st.sampled_from([1.0, 5.0, 10.0, 25.0, 50.0, 90.0]), min_size=1, max_size=4, unique=True).map(
        lambda steps: tuple(sorted(steps))
    ),
    step_seconds=st.floats(0, 100),
    window_seconds=st.floats(1, 300),
    max_window_seconds=st.floats(300, 900),
    approval_seconds=st.floats(1, 1000),
    needs_approval=st.booleans(),
    on_inconclusive=st.sampled_from(Otherwise),
)
_HAPPENINGS = st.one_of(
    st.builds(Judged, st.sampled_from(CanaryVerdict), st.just("seen")),
    st.sampled_from(
        [
            Began(),
            Placed(),
            Approved("Ada"),
            Rejected("Ada", "no"),
            ScaledUp(),
            TookOver(),
            Removed(),
            Ticked(),
        ]
    ),
    st.sampled_from([Began(), Placed(), judged(PASS)]),
    st.just(AbortAsked("stop")),
)
_COURSES = st.lists(st.tuples(st.floats(0, 120), _HAPPENINGS), max_size=40)


def walk(plan: RolloutPlan, steps: list[tuple[float, Happening]]) -> list[tuple[Rollout, Happening, Rollout]]:
    """Each state with what happened and the state after it; times add up."""
    rollout, now, found = Rollout(plan=plan), 0.0, []
    for number, (later, what) in enumerate(steps, start=1):
        now += later
        after, _ = advance(rollout, Event(number, what), now)
        found.append((rollout, what, after))
        rollout = after
    return found


@given(_PLANS, _COURSES)
def test_the_share_never_rises_unallowed(plan: RolloutPlan, steps: list[tuple[float, Happening]]) -> None:
    """Beyond the first step the share rises only after a pass, or after a person's word; to 100 only when scaled up."""
    allowed = False
    for before, what, after in walk(plan, steps):
        if isinstance(what, Judged):
            allowed = allowed or what.verdict is PASS
        if isinstance(what, Approved) and before.question is Question.PROMOTE_WITHOUT_PROOF:
            allowed = True
        if after.weight > before.weight and isinstance(what, Placed):
            assert after.weight == plan.steps[0]
        elif after.weight > before.weight:
            assert allowed
            assert after.last_verdict not in BLIND
            assert (
                after.scaled_since is not None
                if after.weight == 100.0
                else (isinstance(what, Judged) and what.verdict is PASS)
            )


@given(_PLANS, _COURSES)
def test_every_path_ends_at_nothing_or_all(plan: RolloutPlan, steps: list[tuple[float, Happening]]) -> None:
    """Whatever happened, aborting ends the rollout at 0, unless it has ended already at 0 or 100."""
    rollout = walk(plan, [*steps, (0.0, AbortAsked("end")), (0.0, Removed())])[-1][2]

    assert rollout.phase.is_final
    assert rollout.weight == (100.0 if rollout.phase is Phase.PROMOTED else 0.0)


@given(_PLANS, _COURSES)
def test_abort_is_reachable_from_every_state(plan: RolloutPlan, steps: list[tuple[float, Happening]]) -> None:
    """From any state that is not final, asking for it begins the way back at once."""
    before = walk(plan, [*steps, (0.0, Ticked())])[-1][2]
    after, actions = advance(before, Event(1000, AbortAsked("stop")), 10_000.0)

    if not before.phase.is_final and before.phase is not Phase.UNDOING:
        assert after.phase is Phase.UNDOING
        assert actions[0] == SetWeight(0.0)
        assert actions[-1] == Remove()


@given(_PLANS, _COURSES)
def test_replaying_an_event_changes_nothing(plan: RolloutPlan, steps: list[tuple[float, Happening]]) -> None:
    """An event that was seen already, told again at any later time, gives the same state and asks for nothing."""
    rollout, now = Rollout(plan=plan), 0.0
    for number, (later, what) in enumerate(steps, start=1):
        now += later
        rollout, _ = advance(rollout, Event(number, what), now)

        assert advance(rollout, Event(number, what), now + 1000) == (rollout, ())


@given(_PLANS, _COURSES)
def test_a_bad_verdict_never_keeps_traffic(plan: RolloutPlan, steps: list[tuple[float, Happening]]) -> None:
    """After a failing verdict, a canary that had a share of the traffic has none."""
    for before, what, after in walk(plan, steps):
        if isinstance(what, Judged) and what.verdict is FAIL and before.phase is not Phase.PROMOTING:
            assert after.weight in (0.0, 100.0)
            assert after.weight == 0.0 or before.phase is Phase.PROMOTED
