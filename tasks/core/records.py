"""What was done to an environment, one record per change: the audit log.

A record is numbered, written once and never changed; it holds its own checksum and that of the record before it, so
that one that was altered or taken out is noticed. It holds no secret: configuration names secrets, and never has them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from tasks.core.approval import Answer
from tasks.core.outcome import Verdict
from tasks.core.release import Release


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Kind(StrEnum):
    """Which flow made the change. Published: a contract."""

    CD = "cd"
    CANARY = "canary"
    PRODUCTION = "production"
    ROLLBACK = "rollback"
    GUARD = "guard"


class Ending(StrEnum):
    """How a change ended. Published: a contract."""

    RELEASED = "released"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"


class Gate(_Kept):
    """One condition a release had to meet first."""

    name: str = Field(description="the stage, or `released to ENVIRONMENT`")
    verdict: Verdict = Field(description="passed, skipped, failed or error; the last two block")
    reason: str = Field(description="why, in words")


class Step(_Kept):
    """One step of the change: how long it took and what came of it."""

    name: str = Field(description="what was done")
    seconds: float = Field(ge=0, description="wall seconds it took")
    said: str = Field("", description="what came of it, in words")
    is_well: bool = Field(True, description="whether it could be done")


class Record(_Kept):
    """One change of an environment, whole."""

    number: int = Field(ge=1, description="counts the changes of this environment")
    target: str = Field(description="the target's name")
    environment: str = Field(description="the environment that was changed")
    kind: Kind = Field(description="the flow that made the change: cd, canary, production, rollback, or the guard")
    ending: Ending = Field(description="released, rolled-back, or failed where a person must help")
    reason: str = Field(description="why it ended so, in words")
    remedy: str = Field("", description="what to do next")
    release: Release = Field(description="what the change was about")
    replaced: str = Field("", description="digest of the release that was stable before")
    who: str = Field(description="who asked for it; claimed, not proved")
    why: str = Field("", description="what for, in that person's words")
    run: str = Field("", description="flow run")
    override: str = Field("", description="why gates that were not green were passed over")
    gates: tuple[Gate, ...] = Field((), description="conditions that were looked at first")
    approvals: tuple[Answer, ...] = Field((), description="answers of people that counted")
    evidence: Mapping[str, str] = Field({}, description="of a canary: verdict, numbers, and where its snapshots are")
    steps: tuple[Step, ...] = Field((), description="what was done, in order")
    started: str = Field(description="ISO 8601, UTC")
    ended: str = Field(description="ISO 8601, UTC")
    seconds: float = Field(ge=0)
    previous: str = Field("", description="checksum of the record before this one")
    checksum: str = Field("", description="sha256 over everything else in the record")

    def sealed(self) -> "Record":
        return self.model_copy(update={"checksum": checksum_of(self.model_dump(mode="json"))})


class RecordBroken(Exception):
    """A record does not say what it said when it was written; the text names it."""


def checksum_of(content: Mapping[str, object]) -> str:
    """Over everything that was written beside the checksum itself, also what this version does not know of."""
    sealed = {name: value for name, value in content.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(sealed, sort_keys=True).encode()).hexdigest()


def record_from(content: Mapping[str, object]) -> Record:
    """A record as it was read from disk. Raises RecordBroken when it was altered, ValueError when it is none."""
    record = Record.model_validate(content)
    if record.checksum != checksum_of(content):
        raise RecordBroken(f"record {record.number} of {record.environment} was altered after it was written")
    return record


def check_chain(records: Iterable[Record]) -> None:
    """Raises RecordBroken for the first record that does not follow the one before it. Oldest first."""
    before: Record | None = None
    for record in records:
        if before is not None and record.previous != before.checksum:
            raise RecordBroken(f"record {record.number} of {record.environment} does not follow {before.number}")
        before = record


def current_of(records: Iterable[Record]) -> Record | None:
    """The change that put the present stable release there. Oldest first."""
    return next((each for each in reversed(tuple(records)) if each.ending is Ending.RELEASED), None)
