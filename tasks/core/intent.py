"""What a running change promised before it moved anything, and when somebody else must keep the promise.

An intent is written before the first change and names how to undo it. The flow that makes the change renews a
heartbeat; when that grows old, or the deadline passes, the guard undoes the change, whoever or whatever died. Ages are
measured on the machine's monotonic clock, which no change of the date moves; after a restart of the machine every
intent is old, since nothing that it spoke of is alive.
"""

from pydantic import BaseModel, ConfigDict, Field

from tasks.core.approval import Answer
from tasks.core.delivery_settings import Migrations
from tasks.core.notices import NotificationSettings
from tasks.core.records import Gate, Kind
from tasks.core.release import Release


class Intent(BaseModel):
    """A change under way. Moments are seconds of the monotonic clock of the boot named by `boot`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str = Field(description="the permit it works under")
    target: str
    source: str = Field("", description="address or path of the target as it was given, without credentials")
    environment: str
    kind: Kind
    release: Release
    run: str
    who: str
    why: str = ""
    boot: str
    began: float
    began_at: float = Field(description="seconds since the epoch, for people")
    deadline: float
    stale_seconds: float = 15.0
    replaced: str = Field("", description="digest of the stable release when it began")
    gates: tuple[Gate, ...] = ()
    approvals: tuple[Answer, ...] = ()
    override: str = ""
    api_url: str = Field("", description="Prefect API that knows the run; without credentials")
    migrations: Migrations | None = Field(None, description="what is declared of migrations, once they have begun")
    schema_before: str = Field("", description="the schema's revision before them")
    backup: str = Field("", description="copy of the database from before them")
    notifications: NotificationSettings | None = Field(None, description="whom the guard tells, and how")

    @property
    def is_schema_in_doubt(self) -> bool:
        """Whether the release that stays may not run on the schema that is left."""
        return self.migrations in (Migrations.FORWARD, Migrations.REVERSIBLE)


class Heartbeat(BaseModel):
    """The last sign of life of the flow behind an intent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str
    boot: str
    at: float


def why_undo(intent: Intent, beat: Heartbeat | None, *, boot: str, now: float) -> str:
    """Why the change must be undone now, in words; empty while its flow is alive and in time."""
    if intent.boot != boot:
        return "the machine was restarted while the change was under way"
    if now >= intent.deadline:
        return f"the change was not finished {intent.deadline - intent.began:.0f} s after it began"
    last = beat.at if beat is not None and beat.token == intent.token and beat.boot == boot else intent.began
    silent = now - last
    # NOTE: where the system does not name its boots, a clock that ran backwards tells of a restart.
    if silent < 0 or now < intent.began:
        return "the machine was restarted while the change was under way"
    if silent > intent.stale_seconds:
        return f"its flow gave no sign of life for {silent:.0f} s"
    return ""


def why_undo_watched(intent: Intent, *, silent_seconds: float, left_seconds: float | None) -> str:
    """The same for whoever watches from another machine, whose clock tells nothing of the flow's: for how long it has
    seen no sign of life, and how long the change may still take by the flow's own last word."""
    if silent_seconds >= intent.stale_seconds:
        return f"its flow gave no sign of life for {silent_seconds:.0f} s"
    if left_seconds is not None and left_seconds <= 0:
        return f"the change was not finished {intent.deadline - intent.began:.0f} s after it began"
    return ""
