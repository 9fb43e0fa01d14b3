"""The conditions a release must meet before it may go on, decided from what earlier runs recorded.

A stage that never ran on exactly this revision, or that ran on a tree with uncommitted changes, has not passed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.core.outcome import Verdict
from tasks.core.records import Ending, Gate, Record
from tasks.core.release import Release


@dataclass(frozen=True)
class StageRun:
    """One recorded run of a stage over the revision in question."""

    flow: str
    verdict: Verdict
    reason: str
    started: str
    is_dirty: bool
    overrides: tuple[str, ...] = ()


def stage_gate(name: str, runs: Iterable[StageRun], *, revision: str, how: str) -> Gate:
    """Whether the stage's newest run over this revision passed; `how` is the command that runs it. Newest first."""
    own = [run for run in runs if run.flow == name]
    clean = [run for run in own if not run.is_dirty]
    if not clean:
        why = "only with uncommitted changes" if own else "never"
        return Gate(name=name, verdict=Verdict.ERROR, reason=f"{name} ran {why} on {revision[:12]}: {how}")
    newest = clean[0]
    if newest.overrides and not newest.verdict.blocks:
        said = f"{name} passed only with {', '.join(newest.overrides)}: {how}, without --set"
        return Gate(name=name, verdict=Verdict.ERROR, reason=said)
    reason = f"{newest.reason} ({newest.started})"
    return Gate(name=name, verdict=newest.verdict, reason=reason)


def staging_gate(records: Iterable[Record], release: Release, *, environment: str) -> Gate:
    """Whether exactly what was built here was released to the environment before this one. Oldest first."""
    name = f"released to {environment}"
    same = [each for each in records if each.release.artifact == release.artifact]
    if not same:
        reason = f"{release.version} was never in {environment}: towpath cd TARGET --ref {release.version}"
        return Gate(name=name, verdict=Verdict.ERROR, reason=reason)
    last = same[-1]
    verdict = Verdict.PASSED if last.ending is Ending.RELEASED else Verdict.FAILED
    passed_over = f", with its gates passed over ({last.override})" if last.override else ""
    return Gate(name=name, verdict=verdict, reason=f"record {last.number}: {last.ending}, {last.reason}{passed_over}")


def blocking(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    return tuple(gate for gate in gates if gate.verdict.blocks)
