"""A canary's report for people: the decision and its reason first, then the picture, the numbers, and the story."""

from collections.abc import Iterable, Sequence

from tasks.core.canary_log import CanaryLog, changes_of, evidence_of
from tasks.core.judgement import Judgement
from tasks.core.prose import cell, flat
from tasks.core.rollout_words import Phase


def canary_page(head: CanaryLog, judgements: Sequence[Judgement], story: Iterable[str], *, plot: str) -> str:
    """Markdown; `plot` is an address of a picture, or empty."""
    after = f" after {head.ended_after_seconds:.0f} s" if head.ended_after_seconds else ""
    decision = {Phase.PROMOTED: "promoted", Phase.ROLLED_BACK: "rolled back"}.get(head.phase, head.phase.value)
    lines = [
        f"# Canary {head.release.version} beside {head.stable or 'nothing'} in {head.environment}: {decision}{after}",
        "",
        f"**{flat(head.why)}**",
        "",
        *([f"![errors and latency of canary and stable over time]({plot})", ""] if plot else []),
        *_evidence(judgements),
        "## What happened",
        "",
        *(f"1. {line}" for line in story),
        "",
        *_verdicts(judgements),
    ]
    return "\n".join(lines) + "\n"


def _evidence(judgements: Sequence[Judgement]) -> list[str]:
    if not judgements:
        return ["It got no traffic: there is nothing it was judged by.", ""]
    rows = [f"| {name} | {cell(value)} |" for name, value in evidence_of(judgements[-1]).items()]
    return ["## The last verdict", "", "| | |", "|---|---|", *rows, ""]


def _verdicts(judgements: Sequence[Judgement]) -> list[str]:
    """A line for each change of the verdict."""
    if not judgements:
        return []
    rows = [
        f"| {each.at:.0f} s | {each.verdict} | {each.canary_errors:,} of {each.canary_requests:,} "
        f"| {each.stable_errors:,} of {each.stable_requests:,} | {each.harm_wealth:.3g}:1 "
        f"| {min(each.error_promote_wealth, each.latency_promote_wealth):.3g}:1 | {cell(each.reason)} |"
        for each in changes_of(judgements)
    ]
    head = "| at | verdict | canary errors | stable errors | harm | health | why |"
    return [f"## Verdicts ({len(judgements)} looks)", "", head, "|---|---|---|---|---|---|---|", *rows, ""]
