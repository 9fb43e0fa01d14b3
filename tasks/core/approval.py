"""Who may let a release through, and for which release exactly.

An approval names the digest of the release it is for, so that it can never be used for another. What a person gives
as a name at the command line or in the UI is recorded as claimed; what the webhook
door has seen signed is proved.

An answer that does not count is refused with its reason and leaves the question open; it is never dropped silently.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Decision(StrEnum):
    """Published in the approval form: a contract."""

    APPROVE = "approve"
    REJECT = "reject"


class ApprovalRequest(BaseModel):
    """What is asked of whom until when. Times are seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str = Field(description="the flow run that waits")
    target: str
    source: str = Field("", description="address or path of the target as it was given, without credentials")
    environment: str
    question: str = Field(description="what an approval allows")
    yes: str = Field("approve", description="the word in the form that says yes to this question and to no other")
    version: str
    digest: str = Field(description="digest of the one release this is about")
    author: str = Field("", description="who made the release's commit")
    needed: int = Field(1, ge=1, description="approvals it takes, each by another name")
    approvers: tuple[str, ...] = Field((), description="names and teams (ORG/TEAM) that count; empty: every name does")
    may_author_approve: bool = True
    require_proof: bool = Field(False, description="only an approval whose name a signature stands for counts")
    asked_at: float
    expires_at: float
    evidence: tuple[str, ...] = Field((), description="what the decision rests on, a line each")


class Answer(BaseModel):
    """What somebody said. `is_proved` is true only for a name that a signature stands for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Decision = Field(description="approve or reject")
    by: str = Field(description="the name that was given")
    reason: str = Field("", description="why, in that person's words")
    digest: str = Field(description="digest of the release it is about")
    at: float = Field(description="seconds since the epoch")
    is_proved: bool = Field(False, description="whether a signature stands for the name; otherwise it is a claim")
    teams: tuple[str, ...] = Field((), description="of the approvers, the teams that the forge says the name is in")


@dataclass(frozen=True)
class Granted:
    """Enough people have approved."""

    by: tuple[str, ...]


@dataclass(frozen=True)
class Denied:
    """One person has rejected; that is enough."""

    by: str
    reason: str


@dataclass(frozen=True)
class Waiting:
    """The answer counts, and more are needed."""

    missing: int


@dataclass(frozen=True)
class Refused:
    """The answer does not count, for this reason."""

    reason: str


Ruling = Granted | Denied | Waiting | Refused


def teams_among(approvers: Iterable[str]) -> tuple[str, ...]:
    """Those that are written ORG/TEAM, as a forge names teams."""
    return tuple(name.removeprefix("@") for name in approvers if "/" in name)


def rule(request: ApprovalRequest, earlier: Iterable[Answer], answer: Answer) -> Ruling:
    """What an answer means beside those that counted before it."""
    given = tuple(earlier)
    if reason := _why_refused(request, given, answer):
        return Refused(reason)
    if answer.decision is Decision.REJECT:
        return Denied(answer.by.strip(), answer.reason or "no reason given")
    names = (*(each.by.strip() for each in given), answer.by.strip())
    missing = request.needed - len(names)
    return Waiting(missing) if missing > 0 else Granted(names)


def _why_refused(request: ApprovalRequest, given: tuple[Answer, ...], answer: Answer) -> str:
    name, said = _folded(answer.by), answer.by.strip()
    is_approval = answer.decision is Decision.APPROVE
    if not name:
        return "an answer needs a name: --by NAME"
    if answer.at >= request.expires_at:
        return f"this question expired {_ago(answer.at - request.expires_at)} ago, and its release was rolled back"
    if answer.digest != request.digest:
        return (
            f"the answer is for {_short(answer.digest)}, and what waits is {request.version} ({_short(request.digest)})"
        )
    if is_approval and request.require_proof and not answer.is_proved:
        return f"{said} is a name as claimed, and {request.environment} takes proved ones: comment /towpath approve RUN"
    if request.approvers and not _is_listed(request, answer):
        return _not_listed(request, answer)
    if is_approval and not request.may_author_approve and name == _folded(request.author):
        return f"{said} is the author of {request.version}, and authors may not approve their own releases"
    if is_approval and name in {_folded(each.by) for each in given}:
        return f"{said} has approved already; {request.needed} different people are needed"
    return ""


def _is_listed(request: ApprovalRequest, answer: Answer) -> bool:
    """By name, or by a team that the forge knows a proved name to be in; nobody is called like a team."""
    teams = {_folded(team) for team in teams_among(request.approvers)}
    if answer.is_proved and teams & {_folded(team) for team in answer.teams}:
        return True
    return _folded(answer.by) in {_folded(name) for name in request.approvers if "/" not in name}


def _not_listed(request: ApprovalRequest, answer: Answer) -> str:
    why = f"{answer.by.strip()} is not among the approvers of {request.environment}: {', '.join(request.approvers)}"
    is_claim = teams_among(request.approvers) and not answer.is_proved
    return f"{why}; who is in a team is known of proved names alone: comment /towpath approve RUN" if is_claim else why


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _short(digest: str) -> str:
    return digest[:19]


def _ago(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
