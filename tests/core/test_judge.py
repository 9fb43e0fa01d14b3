"""What the judge says of canaries whose truth is known, and that silence never passes."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core import judge_metrics
from tasks.core.canary_policy import JudgePolicy
from tasks.core.counters import Counters, Snapshot
from tasks.core.judge import CanaryVerdict, Judge, Judgement
from tasks.core.sequential import ERROR_MULTIPLIERS, Counts, HarmWealth, harm_cap
from tests.core.canaries import BOUNDS, OLD, Blocks, judgements, latency, snapshots

GOOD = [(100, 0)] * 30
STABLE = [(100, 0)] * 30
BAD = [(100, 10)] * 30
# From the best thing one may say of a canary to the worst; the others say nothing of its health.
BADNESS = {CanaryVerdict.PASS: 0, CanaryVerdict.WATCHING: 1, CanaryVerdict.INCONCLUSIVE: 1, CanaryVerdict.FAIL: 2}


def judged(
    canary: Blocks, stable: Blocks = STABLE, *, share: float = 0.25, policy: JudgePolicy | None = None
) -> list[Judgement]:
    return judgements(Judge(policy or JudgePolicy()), snapshots(canary, stable, share=share))


def unread(stream: Iterator[Snapshot], is_lost: Callable[[float], bool]) -> Iterator[Snapshot]:
    for snapshot in stream:
        yield replace(snapshot, canary=None) if is_lost(snapshot.at) else snapshot


def test_published_names() -> None:
    """The verdicts' names are a contract with release records and everything that reads them."""
    assert [verdict.value for verdict in CanaryVerdict] == [
        "watching",
        "pass",
        "fail",
        "inconclusive",
        "no_traffic",
        "metrics_down",
        "split_wrong",
    ]


def test_healthy() -> None:
    """A canary without errors passes once each metric's health is shown, and not before it has baked."""
    verdicts = judged(GOOD)
    assert verdicts[-1].verdict is CanaryVerdict.PASS
    assert min(verdict.at for verdict in verdicts if verdict.verdict is CanaryVerdict.PASS) >= 60
    assert verdicts[-1].reason.startswith("canary 0 errors of 3,000, stable 0 of 9,000: less than the margin worse")


def test_harmful() -> None:
    """A canary with many more errors fails after three scrapes, with counts and evidence one can check."""
    verdicts = judged(BAD, [(100, 1)] * 30)
    first = next(verdict for verdict in verdicts if verdict.verdict is CanaryVerdict.FAIL)
    assert first.at == 30
    assert first.reason.startswith("canary 30 errors of 300, stable 9 of 900: 10.0 % against 1.0 %, 10x, evidence ")
    assert first.reason.endswith(":1 (50:1 needed)")
    assert first.remedy.startswith("roll the canary back")


def test_failure_stays() -> None:
    """What has failed has failed, whatever comes after it."""
    verdicts = judged([(100, 10)] * 5 + [(100, 0)] * 25)
    failed = [verdict.verdict is CanaryVerdict.FAIL for verdict in verdicts]
    assert failed[failed.index(True) :] == [True] * (len(failed) - failed.index(True))


def test_slow() -> None:
    """A canary with many more slow requests fails, and the reason names the bound."""
    judge = Judge(JudgePolicy())
    for snapshot in snapshots(GOOD, STABLE, share=0.25):
        slow = {
            name: replace(own, buckets=latency(int(own.requests), int(own.requests) // 10))
            for name, own in (snapshot.canary or {}).items()
        }
        last = judge.observe(replace(snapshot, canary=slow))
    assert last.verdict is CanaryVerdict.FAIL
    assert "requests over 0.5 s, stable 0 of" in last.reason


def test_one_burst_does_not_decide() -> None:
    """One block in which most of the canary's requests fail is not enough to abort, however many fail."""
    verdicts = judged([(100, 0)] * 10 + [(100, 90)] + [(100, 0)] * 10, [(100, 1)] * 21)
    assert all(verdict.verdict is not CanaryVerdict.FAIL for verdict in verdicts)


def test_without_the_cap_one_burst_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the cap that keeps one burst from deciding: the same canary fails without it."""
    monkeypatch.setattr(judge_metrics, "harm_cap", lambda *_: math.inf)
    verdicts = judged([(100, 0)] * 10 + [(100, 90)] + [(100, 0)] * 10, [(100, 1)] * 21)
    assert verdicts[11].verdict is CanaryVerdict.FAIL


def test_a_block_is_judged_with_what_earlier_ones_taught() -> None:
    """The phi of a block knows nothing of that block: the first is judged with the prior, however lumpy it is."""
    judge = Judge(JudgePolicy())
    for at, failed in ((0.0, 0), (10.0, 40)):
        requests = 10 * at
        stable = {name: Counters(requests, own, 0, OLD) for name, own in (("a", failed), ("b", 0), ("c", 0))}
        last = judge.observe(Snapshot(at, 0.25, {"canary": Counters(requests, failed / 2, 0, OLD)}, stable))
    policy = JudgePolicy()
    expected = HarmWealth(ERROR_MULTIPLIERS, planned_blocks=30, cap=harm_cap(8, policy.alpha, policy.min_blocks))
    expected.multiply(
        Counts(100, 20, 300, 40), ratio=policy.error_ratio, absolute=policy.error_absolute, phi=policy.phi_prior
    )
    assert last.error_harm_wealth == pytest.approx(expected.value)
    assert last.phi > 10


def test_suspicion_holds_a_promotion() -> None:
    """A canary whose health is shown is held while there is some evidence of harm too."""
    policy = JudgePolicy(promote_error_absolute=0.5, min_bake_seconds=0)
    canary, stable = [(100, 2), (100, 1)] * 15, [(100, 1), (100, 0), (100, 0)] * 10
    suspected = [one for one in judged(canary, stable, policy=policy) if policy.hold_wealth <= one.harm_wealth < 50]
    shown = [one for one in suspected if min(one.error_promote_wealth, one.latency_promote_wealth) >= 20]
    assert shown
    assert all(one.verdict is CanaryVerdict.WATCHING for one in shown)
    assert all("evidence of harm (promotion needs less than 5.0:1, an abort 50:1)" in one.reason for one in shown)


@pytest.mark.parametrize(
    ("policy", "first"),
    [
        pytest.param(JudgePolicy(min_bake_seconds=200), 200, id="baking"),
        pytest.param(JudgePolicy(min_bake_seconds=0, promote_min_blocks=10), 100, id="blocks"),
        pytest.param(JudgePolicy(min_bake_seconds=0, min_requests=250_000), 250, id="requests"),
    ],
)
def test_promotion_waits(policy: JudgePolicy, first: float) -> None:
    """However clear its health is, a canary passes no sooner than its baking, its scrapes and its requests allow."""
    verdicts = judged([(10_000, 0)] * 30, [(10_000, 0)] * 30, policy=policy)
    assert next(verdict.at for verdict in verdicts if verdict.verdict is CanaryVerdict.PASS) == first


def test_the_first_seconds_are_left_out() -> None:
    """What fails while an instance is younger than the warm-up is no evidence, and is still a request."""
    judge = Judge(JudgePolicy())
    for at, failed in ((0, 0), (10, 100), (20, 100)):
        canary = {"canary": Counters(10 * at, failed, 0, -1.0)}
        last = judge.observe(Snapshot(at, 0.25, canary, {"stable": Counters(30 * at, 0, 0, OLD)}))
    assert (last.canary_requests, last.canary_errors) == (200, 100)
    assert last.error_harm_wealth <= 1


def test_two_scrapes_never_abort() -> None:
    """Not even a canary that fails every request and is slow is aborted before the third scrape."""
    policy = JudgePolicy(error_weight=1, latency_weight=0)
    verdicts = judged([(500, 500)] * 5, [(500, 5)] * 5, policy=policy)
    assert [verdict.verdict is CanaryVerdict.FAIL for verdict in verdicts] == [False] * 3 + [True] * 3


def test_kayentas_counterexample() -> None:
    """Sparse errors of the canary against none do not pass (Kayenta's issue 426), at any traffic."""
    sparse = [0, 1, 2, 1, 0, 0]
    for requests in (10, 50, 100):
        blocks = [(requests, errors) for errors in sparse]
        policy = JudgePolicy(deadline_seconds=60)
        verdicts = judged(blocks, [(requests, 0)] * 6, policy=policy)
        assert all(verdict.verdict is not CanaryVerdict.PASS for verdict in verdicts)


@pytest.mark.parametrize(
    ("canary", "verdict", "reason"),
    [
        pytest.param(
            [(0, 0)] * 30,
            CanaryVerdict.NO_TRAFFIC,
            "no request reached the canary in the last 60 s or before while stable had 1,800",
            id="never",
        ),
        pytest.param(
            [(100, 0)] * 20 + [(0, 0)] * 10,
            CanaryVerdict.NO_TRAFFIC,
            "no request reached the canary in the last 60 s while stable had 1,800",
            id="no more",
        ),
        pytest.param(
            [(900, 0)] * 30, CanaryVerdict.SPLIT_WRONG, "the canary gets 75.0 % of the requests, 25.0 % was", id="much"
        ),
        pytest.param(
            [(10, 0)] * 30, CanaryVerdict.SPLIT_WRONG, "the canary gets 3.2 % of the requests, 25.0 % was", id="little"
        ),
    ],
)
def test_traffic(canary: Blocks, verdict: CanaryVerdict, reason: str) -> None:
    """A canary without traffic, or with another share than the one set, has its own verdict and never passes."""
    verdicts = judged(canary)
    assert verdicts[-1].verdict is verdict
    assert verdicts[-1].reason.startswith(reason)


def test_everything_goes_to_the_canary() -> None:
    """A router that sends stable nothing has the split wrong, though there is nothing to compare with."""
    assert judged([(100, 0)] * 10, [(0, 0)] * 10)[-1].verdict is CanaryVerdict.SPLIT_WRONG


def test_traffic_is_not_missed_before_one_looked() -> None:
    """Metrics that become readable late say nothing of the time before, so that time is not called silent."""
    judge = Judge(JudgePolicy())
    assert judge.observe(Snapshot(60, 0.1, None, None)).verdict is CanaryVerdict.METRICS_DOWN
    assert judge.observe(Snapshot(70, 0.1, {}, {})).verdict is CanaryVerdict.WATCHING
    assert judge.observe(Snapshot(80, 0.1, {}, {})).verdict is CanaryVerdict.WATCHING
    assert judge.observe(Snapshot(130, 0.1, {}, {})).verdict is CanaryVerdict.NO_TRAFFIC


def test_nobody_calls() -> None:
    """When stable has no requests either, that is no traffic too."""
    last = judged([(0, 0)] * 10, [(0, 0)] * 10)[-1]
    assert last.verdict is CanaryVerdict.NO_TRAFFIC
    assert last.reason.endswith("while stable had none either")


@pytest.mark.parametrize(
    ("is_lost", "verdict"),
    [
        pytest.param(lambda at: at > 0, CanaryVerdict.METRICS_DOWN, id="after the first"),
        pytest.param(lambda at: at >= 0, CanaryVerdict.METRICS_DOWN, id="always"),
        pytest.param(lambda at: at > 240, CanaryVerdict.METRICS_DOWN, id="at the end"),
        pytest.param(lambda at: at > 260, CanaryVerdict.WATCHING, id="not yet stale at the deadline"),
        pytest.param(lambda at: 100 < at < 200, CanaryVerdict.PASS, id="for a while"),
        pytest.param(lambda at: at % 20 > 0, CanaryVerdict.PASS, id="every other"),
    ],
)
def test_unreadable(is_lost: Callable[[float], bool], verdict: CanaryVerdict) -> None:
    """Metrics that cannot be read never pass; those that come back are caught up with."""
    verdicts = judgements(Judge(JudgePolicy()), unread(snapshots(GOOD, STABLE, share=0.25), is_lost))
    assert verdicts[-1].verdict is verdict


def test_metrics_down_says_since_when() -> None:
    """The reason names when both arms were last read, or that they never were."""
    never = Judge(JudgePolicy()).observe(Snapshot(50, 0.1, None, {}))
    assert never.reason.startswith("the metrics of both arms could not be read together: never so far, 45 s is borne")


def test_restart() -> None:
    """A canary instance that restarts fails at once and by name, also while stable cannot be read."""
    judge = Judge(JudgePolicy())
    judge.observe(Snapshot(0, 0.1, {"canary-7f": Counters(0, 0)}, {}))
    last = judge.observe(Snapshot(10, 0.1, {"canary-7f": Counters(0, 0, restarts=2)}, None))
    assert last.verdict is CanaryVerdict.FAIL
    assert last.reason == "canary restarted: canary-7f twice; none allowed"
    assert last.restarts == 2


def test_little_traffic_is_inconclusive() -> None:
    """A canary with too few requests has no verdict at the deadline, and the reason says what was missing."""
    last = judged([(2, 0)] * 30, [(2, 0)] * 30)[-1]
    assert last.verdict is CanaryVerdict.INCONCLUSIVE
    assert last.reason.startswith("after 300 s there is neither enough evidence of harm (")
    assert "only 60 of 200 canary requests" in last.reason
    assert "of 20:1 evidence of health for errors" in last.reason


def without_latency(stream: Iterator[Snapshot]) -> Iterator[Snapshot]:
    for snapshot in stream:
        canary = {name: replace(own, buckets=()) for name, own in (snapshot.canary or {}).items()}
        yield replace(snapshot, canary=canary)


def test_a_metric_that_vanished_does_not_pass() -> None:
    """Latency that cannot be compared keeps a canary from passing, unless it was taken out of the judgement."""
    stream = list(without_latency(snapshots(GOOD, STABLE, share=0.25)))
    asked = judgements(Judge(JudgePolicy()), iter(stream))[-1]
    assert asked.verdict is CanaryVerdict.INCONCLUSIVE
    assert "no latency of warm instances in both arms to compare" in asked.reason
    errors_alone = JudgePolicy(error_weight=1, latency_weight=0)
    passed = judgements(Judge(errors_alone), iter(stream))[-1]
    assert passed.verdict is CanaryVerdict.PASS
    assert passed.reason.endswith("for errors")


def test_extended_window() -> None:
    """A window that ends too early can be extended, and what was seen keeps its weight."""
    policy = JudgePolicy(deadline_seconds=150)
    short, extended = Judge(policy), Judge(policy)
    stream = list(snapshots([(30, 0)] * 60, [(100, 0)] * 60, share=0.09))
    judgements(short, iter(stream[:15]))
    assert short.observe(stream[15]).verdict is CanaryVerdict.INCONCLUSIVE
    extended.extend(600)
    assert judgements(extended, iter(stream))[15].verdict is CanaryVerdict.WATCHING
    short.extend(600)
    assert judgements(short, iter(stream[16:]))[-1].verdict is CanaryVerdict.PASS
    with pytest.raises(ValueError, match="a window is extended, not cut"):
        short.extend(500)


def test_share_changes_on_the_way() -> None:
    """A new share is judged from its own requests, and the evidence of health goes on."""
    judge = Judge(JudgePolicy(share=0.1))
    first = list(snapshots([(33, 0)] * 15 + [(300, 0)] * 15, [(100, 0)] * 30, share=0.1))
    stream = [replace(snapshot, share=0.1 if snapshot.at <= 150 else 0.5) for snapshot in first]
    verdicts = judgements(judge, iter(stream))
    assert all(verdict.verdict is not CanaryVerdict.SPLIT_WRONG for verdict in verdicts)
    assert verdicts[-1].expected_share == 0.5
    assert verdicts[-1].observed_share == pytest.approx(0.5)


def test_order_of_snapshots() -> None:
    """A snapshot that is not later than the one before is refused, since its difference would mean nothing."""
    judge = Judge(JudgePolicy(), [Snapshot(-10, 0, None, {})])
    judge.observe(Snapshot(0, 0.1, {}, {}))
    with pytest.raises(ValueError, match="snapshots must come in order: 0 s after 0 s"):
        judge.observe(Snapshot(0, 0.1, {}, {}))


def test_history_teaches_the_bounds() -> None:
    """With history the latency is compared from the first block on, without it one block later."""
    stable = [
        Snapshot(at, 0, None, {"s": Counters(at + 600, 0, 0, OLD, latency(at + 600))}, BOUNDS)
        for at in range(-300, 0, 10)
    ]
    stream = [
        Snapshot(at, 0.5, {"c": Counters(at * 40, 0, 0, OLD, latency(at * 40))},
                 {"s": Counters(at * 40 + 600, 0, 0, OLD, latency(at * 40 + 600))}, BOUNDS)
        for at in (0, 10)
    ]  # fmt: skip
    informed, ignorant = Judge(JudgePolicy(), stable), Judge(JudgePolicy())
    for snapshot in stream:
        with_history, without = informed.observe(snapshot), ignorant.observe(snapshot)
    assert with_history.latency_promote_wealth != 1.0
    assert without.latency_promote_wealth == 1.0


blocks = st.lists(
    st.tuples(st.integers(0, 120), st.integers(0, 4), st.integers(0, 4), st.booleans()), min_size=1, max_size=35
)


def stream_of(drawn: list[tuple[int, int, int, bool]], more: int = 0) -> list[Snapshot]:
    canary = [(requests, min(requests, failed + more)) for requests, failed, _, _ in drawn]
    stable = [(100, failed) for _, _, failed, _ in drawn]
    lost = [False, *(is_lost for *_, is_lost in drawn)]
    return [
        replace(snapshot, stable=None) if is_lost else snapshot
        for snapshot, is_lost in zip(snapshots(canary, stable, share=0.25), lost, strict=True)
    ]


@settings(max_examples=40)
@given(blocks)
def test_replay(drawn: list[tuple[int, int, int, bool]]) -> None:
    """The same snapshots give the same judgements, so a pipeline that restarts can replay them."""
    assert judgements(Judge(JudgePolicy()), iter(stream_of(drawn))) == judgements(
        Judge(JudgePolicy()), iter(stream_of(drawn))
    )


@settings(max_examples=60)
@given(blocks, st.integers(1, 5))
def test_more_failures_never_help(drawn: list[tuple[int, int, int, bool]], more: int) -> None:
    """When more of the canary's requests fail, no verdict on the way is a better one."""
    better = judgements(Judge(JudgePolicy()), iter(stream_of(drawn)))
    worse = judgements(Judge(JudgePolicy()), iter(stream_of(drawn, more)))
    for first, second in zip(better, worse, strict=True):
        assert BADNESS.get(second.verdict, 1) >= BADNESS.get(first.verdict, 1)
        if second.verdict is not CanaryVerdict.FAIL:
            assert second.error_harm_wealth >= first.error_harm_wealth * (1 - 1e-9)


@settings(max_examples=40)
@given(blocks)
def test_every_judgement_explains_itself(drawn: list[tuple[int, int, int, bool]]) -> None:
    """Each judgement has a reason, a condition and a remedy, and its numbers are numbers."""
    for judgement in judgements(Judge(JudgePolicy()), iter(stream_of(drawn))):
        assert judgement.reason
        assert judgement.condition
        assert judgement.remedy
        assert math.isfinite(judgement.harm_wealth)
        assert judgement.phi >= 1
