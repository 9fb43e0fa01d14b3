"""Whether a canary may go on: read at every scrape, decided as soon as there is enough evidence, and never before.

A threshold and a timer either wait too long for a bad release or throw a good one away for chance. The judge keeps
evidence that may be looked at any number of times: it promises that a canary no worse than the tolerance is aborted
with a probability of at most alpha, and one that is the margin worse is promoted with at most beta, over the whole
watch however often it is extended. What must never happen is that silence passes: no traffic, unreadable metrics, a
wrong split and too little evidence each have a verdict that does not promote.

The method, its defaults and its limits are described in docs/judge.md.
"""

from collections.abc import Iterable
from dataclasses import replace

from tasks.core import judgement as words
from tasks.core.blocks import Block, Differencing
from tasks.core.canary_policy import JudgePolicy
from tasks.core.canary_traffic import Traffic
from tasks.core.counters import Snapshot
from tasks.core.judge_metrics import ErrorMetric, LatencyMetric
from tasks.core.judgement import CanaryVerdict, Decision, Evidence, Judgement, odds

__all__ = ["CanaryVerdict", "Judge", "Judgement"]


class Judge:
    """Judges one canary from its snapshots, given in the order of their times.

    `history` holds snapshots from before the canary (at least 5 minutes at the scrape interval); only their stable arm
    is read. The first snapshot observed is the base of all counts, so it should be taken as the share is set. The same
    snapshots give the same judgements: after a restart of the pipeline, replay them. When the share changes, pass it
    with the next snapshot and keep the judge.
    """

    def __init__(self, policy: JudgePolicy, history: Iterable[Snapshot] = ()) -> None:
        self._policy = policy
        self._deadline_seconds = policy.deadline_seconds
        self._differencing = Differencing()
        self._errors = ErrorMetric(policy)
        self._latency = LatencyMetric(policy)
        self._traffic = Traffic(policy)
        self._restarts: dict[str, int] = {}
        self._at: float | None = None
        self._failure: Judgement | None = None
        for snapshot in history:
            self._must_follow(snapshot)
            stable = self._differencing.learn(snapshot)
            self._errors.learn(stable)
            self._latency.learn(stable)

    def extend(self, deadline_seconds: float) -> None:
        """Watch until so many seconds after the canary began; what has been seen keeps its weight, at no penalty.

        Raises ValueError for a deadline before the present one.
        """
        if deadline_seconds < self._deadline_seconds:
            raise ValueError(f"a window is extended, not cut: {deadline_seconds:g} < {self._deadline_seconds:g} s")
        self._deadline_seconds = deadline_seconds

    def observe(self, snapshot: Snapshot) -> Judgement:
        """What the canary is worth after this snapshot. A failure stays, every other verdict may change.

        Raises ValueError for a snapshot that is not later than the one before.
        """
        self._must_follow(snapshot)
        if self._failure is not None:
            return replace(self._failure, at=snapshot.at)
        for instance, counters in (snapshot.canary or {}).items():
            self._restarts[instance] = max(counters.restarts, self._restarts.get(instance, 0))
        block = self._differencing.take(snapshot)
        if block is not None:
            self._take(block)
        evidence = self._evidence(snapshot)
        judgement = words.with_evidence(self._decide(evidence, is_missed=block is None), evidence)
        if judgement.verdict is CanaryVerdict.FAIL:
            self._failure = judgement
        return judgement

    def _must_follow(self, snapshot: Snapshot) -> None:
        if self._at is not None and snapshot.at <= self._at:
            raise ValueError(f"snapshots must come in order: {snapshot.at:g} s after {self._at:g} s")
        self._at = snapshot.at

    def _take(self, block: Block) -> None:
        """Judge the block with what earlier ones taught, then learn from it."""
        self._traffic.observe(block)
        self._errors.judge(block.canary, block.stable)
        self._latency.judge(block.canary, block.stable, self._differencing.bounds)
        self._errors.learn(block.stable)
        self._latency.learn(block.stable)

    def _decide(self, evidence: Evidence, *, is_missed: bool) -> Decision:
        """The rules in their order; the first that matches wins."""
        policy, traffic, at = self._policy, self._traffic, evidence.at
        if evidence.restarts > policy.max_restarts:
            return words.restarted(self._restarts, policy.max_restarts)
        if self._is_harmful(evidence):
            return self._explain_harm(evidence)
        if at - (self._differencing.good_at or 0.0) > policy.stale_seconds:
            return words.metrics_down(at, self._differencing.good_at, policy.stale_seconds)
        if is_missed:
            return words.missed()
        if traffic.is_silent(at, self._deadline_seconds):
            window = policy.zero_window_seconds
            return words.no_traffic(window, traffic.window_stable_requests, traffic.canary_requests)
        if traffic.is_split_wrong:
            return words.split_wrong(evidence)
        missing = self._missing(evidence)
        if not missing:
            return words.healthy(evidence, has_errors=policy.error_weight > 0, has_latency=policy.latency_weight > 0)
        if at >= self._deadline_seconds:
            return words.undecided(evidence, 1 / policy.alpha, self._deadline_seconds, missing)
        return words.watching(evidence, self._deadline_seconds, missing)

    def _is_harmful(self, evidence: Evidence) -> bool:
        """The caps bound each component; the count of blocks also holds when all of them burst at once."""
        has_blocks = self._traffic.comparable_blocks >= self._policy.min_blocks
        return has_blocks and evidence.harm_wealth >= 1 / self._policy.alpha

    def _explain_harm(self, evidence: Evidence) -> Decision:
        policy, worst = self._policy, self._latency.worst_bound
        by_errors = policy.error_weight * evidence.error_harm_wealth
        by_latency = policy.latency_weight * evidence.latency_harm_wealth
        if worst is None or by_errors >= by_latency:
            return words.too_many_errors(evidence, 1 / policy.alpha)
        bound_seconds, counts = worst
        return words.too_slow(evidence, 1 / policy.alpha, bound_seconds, counts)

    def _missing(self, evidence: Evidence) -> tuple[str, ...]:
        """What a promotion still needs, in words; nothing when the canary passes."""
        policy, needed = self._policy, 1 / self._policy.beta
        blocks = self._traffic.comparable_blocks
        harm = f"{odds(evidence.harm_wealth)} evidence of harm"
        gates = (
            (evidence.at >= policy.min_bake_seconds, f"{evidence.at:.0f} of {policy.min_bake_seconds:.0f} s of baking"),
            (
                evidence.canary_requests >= policy.min_requests,
                f"only {evidence.canary_requests} of {policy.min_requests} canary requests",
            ),
            (
                blocks >= policy.promote_min_blocks,
                f"only {blocks} of {policy.promote_min_blocks} scrapes with requests in both arms",
            ),
            (
                evidence.harm_wealth < policy.hold_wealth,
                f"{harm} (promotion needs less than {odds(policy.hold_wealth)}, an abort {odds(1 / policy.alpha)})",
            ),
            *self._health_gates(evidence, needed),
        )
        return tuple(lack for is_met, lack in gates if not is_met)

    def _health_gates(self, evidence: Evidence, needed: float) -> tuple[tuple[bool, str], ...]:
        policy = self._policy
        latency = f"{odds(evidence.latency_promote_wealth)} of {odds(needed)} evidence of health for latency"
        if not self._latency.is_measured:
            latency = "no latency of warm instances in both arms to compare (latency_weight = 0 judges errors alone)"
        return (
            (
                policy.error_weight == 0 or evidence.error_promote_wealth >= needed,
                f"{odds(evidence.error_promote_wealth)} of {odds(needed)} evidence of health for errors",
            ),
            (policy.latency_weight == 0 or evidence.latency_promote_wealth >= needed, latency),
        )

    def _evidence(self, snapshot: Snapshot) -> Evidence:
        policy, errors, latency, traffic = self._policy, self._errors, self._latency, self._traffic
        error_harm, latency_harm = errors.harm_wealth, latency.harm_wealth
        return Evidence(
            at=snapshot.at,
            harm_wealth=policy.error_weight * error_harm + policy.latency_weight * latency_harm,
            error_harm_wealth=error_harm,
            latency_harm_wealth=latency_harm,
            error_promote_wealth=errors.promote_wealth,
            latency_promote_wealth=latency.promote_wealth,
            split_wealth=traffic.split_wealth,
            canary_requests=round(traffic.canary_requests),
            canary_errors=round(traffic.canary_errors),
            stable_requests=round(traffic.stable_requests),
            stable_errors=round(traffic.stable_errors),
            phi=errors.phi,
            latency_phi=latency.phi,
            observed_share=traffic.observed_share,
            expected_share=snapshot.share,
            restarts=sum(self._restarts.values()),
            canary_p95_seconds=latency.canary_p95_seconds,
            stable_p95_seconds=latency.stable_p95_seconds,
        )
