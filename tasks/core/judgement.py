"""What the judge says of a canary at one moment: a verdict, why in words, what to do next, and all the numbers.

Whoever reads a judgement may have been woken by it, so the reason names the counts a person can check against their
own dashboard before it names the evidence. Seven verdicts, since "not bad" is not "good": a canary without traffic,
without metrics or with the wrong split has a verdict of its own, and only `pass` may be promoted.
"""

from dataclasses import dataclass
from enum import StrEnum

from tasks.core.sequential import Counts


class CanaryVerdict(StrEnum):
    """Published in release records and read by machines: a contract, do not rename."""

    WATCHING = "watching"
    PASS = "pass"  # noqa: S105 a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NO_TRAFFIC = "no_traffic"
    METRICS_DOWN = "metrics_down"
    SPLIT_WRONG = "split_wrong"


@dataclass(frozen=True)
class Evidence:
    """The numbers behind a judgement, `at` seconds after the canary began.

    A wealth is odds against a null hypothesis: 50 is 50 to 1. Harm is averaged over the metrics by weight, health must
    be shown by each. Requests and errors are those of the whole watch, shares are 0 to 1, `phi` and `latency_phi` are
    overdispersions. The 95th percentiles are interpolated, for display only, None when not measured.
    """

    at: float
    harm_wealth: float
    error_harm_wealth: float
    latency_harm_wealth: float
    error_promote_wealth: float
    latency_promote_wealth: float
    split_wealth: float
    canary_requests: int
    canary_errors: int
    stable_requests: int
    stable_errors: int
    phi: float
    latency_phi: float
    observed_share: float | None
    expected_share: float
    restarts: int
    canary_p95_seconds: float | None
    stable_p95_seconds: float | None


@dataclass(frozen=True)
class Decision:
    """A verdict, the condition of the rules that matched, why in words, and what helps."""

    verdict: CanaryVerdict
    condition: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Judgement(Evidence):
    """A decision with its evidence. The remedy says what to do next, for every verdict."""

    verdict: CanaryVerdict
    condition: str
    reason: str
    remedy: str


def with_evidence(decision: Decision, evidence: Evidence) -> Judgement:
    return Judgement(**vars(evidence), **vars(decision))


def restarted(restarts: dict[str, int], allowed: int) -> Decision:
    """`restarts` counts those of each canary instance by name."""
    named = ", ".join(f"{name} {times(count)}" for name, count in sorted(restarts.items()) if count)
    return Decision(
        CanaryVerdict.FAIL,
        "restarts > max_restarts",
        f"canary restarted: {named}; {allowed or 'none'} allowed",
        "roll the canary back, then read the last log lines of the instance that restarted",
    )


def too_many_errors(evidence: Evidence, needed: float) -> Decision:
    canary = f"canary {count(evidence.canary_errors)} errors of {count(evidence.canary_requests)}"
    stable = f"stable {count(evidence.stable_errors)} of {count(evidence.stable_requests)}"
    counts = Counts(evidence.canary_requests, evidence.canary_errors, evidence.stable_requests, evidence.stable_errors)
    return _harmful(f"{canary}, {stable}: {_ratio(counts)}", evidence, needed, "its errors in the canary's log")


def too_slow(evidence: Evidence, needed: float, bound_seconds: float, counts: Counts) -> Decision:
    """`counts` are the requests over the bound, in seconds, that speaks loudest."""
    canary = (
        f"canary {count(counts.canary_events)} of {count(counts.canary_requests)} requests over {bound_seconds:g} s"
    )
    stable = f"stable {count(counts.stable_events)} of {count(counts.stable_requests)}"
    return _harmful(f"{canary}, {stable}: {_ratio(counts)}", evidence, needed, "what became slower in the canary")


def _harmful(counts: str, evidence: Evidence, needed: float, look_for: str) -> Decision:
    return Decision(
        CanaryVerdict.FAIL,
        "harm_wealth >= 1 / alpha",
        f"{counts}, evidence {odds(evidence.harm_wealth)} ({odds(needed)} needed)",
        f"roll the canary back, then look for {look_for}",
    )


def metrics_down(at: float, good_at: float | None, stale_seconds: float) -> Decision:
    since = "never so far" if good_at is None else f"last {at - good_at:.0f} s ago"
    return Decision(
        CanaryVerdict.METRICS_DOWN,
        "seconds since both arms were read > stale_seconds",
        f"the metrics of both arms could not be read together: {since}, {stale_seconds:.0f} s is borne",
        "make the metrics readable again and extend the window, or roll back; nothing is promoted unseen",
    )


def missed() -> Decision:
    return Decision(
        CanaryVerdict.WATCHING,
        "this scrape was missed",
        "this scrape could not be read in full; the next one will cover it",
        "wait for the next scrape",
    )


def no_traffic(window_seconds: float, window_stable_requests: float, canary_requests: float) -> Decision:
    ever = "" if canary_requests else " or before"
    return Decision(
        CanaryVerdict.NO_TRAFFIC,
        "no canary request in zero_window_seconds",
        f"no request reached the canary in the last {window_seconds:.0f} s{ever} while stable had "
        f"{count(window_stable_requests) if window_stable_requests else 'none either'}",
        "check that the router knows the canary and that its instances are ready, then extend the window or roll back",
    )


def split_wrong(evidence: Evidence) -> Decision:
    observed = "nothing" if evidence.observed_share is None else percent(evidence.observed_share)
    return Decision(
        CanaryVerdict.SPLIT_WRONG,
        "split_wealth >= 1 / share_alpha",
        f"the canary gets {observed} of the requests, {percent(evidence.expected_share)} was set, "
        f"evidence {odds(evidence.split_wealth)}",
        "check the router's weights, other routes to stable, and sticky sessions, then extend the window or roll back",
    )


def healthy(evidence: Evidence, *, has_errors: bool, has_latency: bool) -> Decision:
    """The two say which metrics were asked to show their health."""
    return Decision(
        CanaryVerdict.PASS,
        "all promote wealths >= 1 / beta",
        f"canary {count(evidence.canary_errors)} errors of {count(evidence.canary_requests)}, stable "
        f"{count(evidence.stable_errors)} of {count(evidence.stable_requests)}: less than the margin worse, "
        f"evidence {_health(evidence, has_errors, has_latency)}",
        "promote; it must still pass at that moment",
    )


def undecided(evidence: Evidence, needed: float, deadline_seconds: float, missing: tuple[str, ...]) -> Decision:
    """`missing` says of each thing a promotion still needed what there is and what it takes; `needed` is harm's."""
    return Decision(
        CanaryVerdict.INCONCLUSIVE,
        "at >= deadline_seconds",
        f"after {deadline_seconds:.0f} s there is neither enough evidence of harm ({odds(evidence.harm_wealth)}, "
        f"{odds(needed)} needed) nor all that a promotion needs: {'; '.join(missing)}",
        "extend the window (it costs no certainty), raise the share so that evidence comes faster, or roll back",
    )


def watching(evidence: Evidence, deadline_seconds: float, missing: tuple[str, ...]) -> Decision:
    left = max(0.0, deadline_seconds - evidence.at)
    return Decision(
        CanaryVerdict.WATCHING,
        "no other condition",
        f"so far {'; '.join(missing)}; {left:.0f} s left",
        "wait for the next scrape",
    )


def _health(evidence: Evidence, has_errors: bool, has_latency: bool) -> str:
    shown = [f"{odds(evidence.error_promote_wealth)} for errors"] * has_errors
    shown += [f"{odds(evidence.latency_promote_wealth)} for latency"] * has_latency
    return ", ".join(shown)


def _ratio(counts: Counts) -> str:
    canary, stable = counts.canary_events / counts.canary_requests, counts.stable_events / counts.stable_requests
    if stable == 0:
        return f"{percent(canary)} against none"
    return f"{percent(canary)} against {percent(stable)}, {canary / stable:.2g}x"


def odds(wealth: float) -> str:
    """Evidence as odds a person can read: 1,400:1, 12:1, 0.4:1."""
    if wealth >= 1e9:
        return "over 1,000,000,000:1"
    return f"{wealth:,.0f}:1" if wealth >= 10 else f"{wealth:.1f}:1"


def count(number: float) -> str:
    return f"{number:,.0f}"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.01 else f"{100 * share:.2g} %"


def times(number: int) -> str:
    match number:
        case 1:
            return "once"
        case 2:
            return "twice"
        case _:
            return f"{number} times"
