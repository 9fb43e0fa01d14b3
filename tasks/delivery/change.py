"""One change of an environment while it is under way.

Before anything moves, the environment is locked, the intent is written beside its state, and a heartbeat begins; when
the context that holds them closes, all three are gone. A flow that dies leaves them to the guard.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from tasks.adapters.grounds import Ground
from tasks.adapters.heartbeats import beating
from tasks.adapters.intents import boot_id, machine_seconds
from tasks.adapters.keepers import start_keepers
from tasks.adapters.platforms import choosing
from tasks.adapters.state import keep_ballast
from tasks.core.approval import Answer
from tasks.core.database import Database
from tasks.core.delivery import DeliverySettings
from tasks.core.delivery_settings import Migrations
from tasks.core.freeze import freeze_on
from tasks.core.intent import Intent
from tasks.core.platform import Permit, PermitRevoked, Platform, PlatformTrouble
from tasks.core.records import Gate, Kind, Step
from tasks.core.release import Release
from tasks.core.safekeeping import Claim, EnvironmentBusy, Safekeeping
from tasks.retrying import BadInput, NotAllowed, PermanentError
from tasks.watching import ChangeOpened, StepEnded, StepStarted, tell

_BUSY_POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which change is wanted, of what, by whom; `longest_seconds` is when the guard ends it at the latest."""

    kind: Kind
    ground: Ground
    release: Release
    delivery: DeliverySettings
    gates: tuple[Gate, ...] = ()
    who: str
    why: str = ""
    override: str = ""
    run: str
    folder: Path
    longest_seconds: float
    wait_seconds: float = 0.0
    expected_stable: str | None = None
    approvals: tuple[Answer, ...] = ()
    source: str = ""


class Change:
    """A change under way: what it may use, and what it has done so far."""

    def __init__(
        self, asked: Asked, *, platform: Platform, keeping: Safekeeping, permit: Permit, intent: Intent
    ) -> None:
        self.asked = asked
        self.keeping = keeping
        self.ground = asked.ground
        self.release = asked.release
        self.delivery = asked.delivery
        self.platform = platform
        self.permit = permit
        self.intent = intent
        self.started = datetime.now(UTC)
        self._began = time.monotonic()
        self.replaced: Release | None = None
        self.url = ""
        self.steps: list[Step] = []
        self.approvals: list[Answer] = list(asked.approvals)
        self.evidence: dict[str, str] = {}
        self.backup = ""
        self.schema_before: str | None = None
        self.forward: Database | None = None
        self.is_migrating = False
        self.is_taking_over = False
        self.has_moved = False
        self.is_settled = False

    @property
    def database(self) -> Database | None:
        return choosing.database_of(self.delivery, self.release, self.ground)

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def log_of(self, name: str) -> Path:
        return self.asked.folder / "logs" / f"{name.replace(' ', '-')}.log"


@dataclass
class Saying:
    """What a step has to say of itself when it is over."""

    text: str = ""


@asynccontextmanager
async def step(change: Change, name: str) -> AsyncIterator[Saying]:
    """One step of the change, kept with its time and how it ended."""
    saying, began = Saying(), time.monotonic()
    tell(StepStarted(name))
    try:
        yield saying
    except BaseException as failure:
        said = str(failure) or type(failure).__name__
        _keep(change, Step(name=name, seconds=time.monotonic() - began, said=said, is_well=False))
        raise
    _keep(change, Step(name=name, seconds=time.monotonic() - began, said=saying.text))


def _keep(change: Change, ended: Step) -> None:
    change.steps.append(ended)
    tell(StepEnded(ended))


async def open_change(held: AsyncExitStack, asked: Asked) -> Change:
    """The right to make the change until `held` is closed. Raises PermanentError with what stands in the way."""
    ground = asked.ground
    _refuse_when_frozen(asked)
    claim = _claim(asked)
    try:
        # NOTE: before the lock, since a change that died is undone by the guard, and nobody gets the lock before.
        await start_keepers(ground.state)
        await choosing.must_be_deliverable(ground, asked.delivery)
        keeping = choosing.safekeeping_for(ground, asked.delivery)
        intent = _intent(asked, claim)
        permit = await _take(asked, keeping, claim)
        platform = await prepared(ground, asked.delivery, keeping, permit)
        change = Change(asked, platform=platform, keeping=keeping, permit=permit, intent=intent)
        held.push_async_callback(_give_back, change)
        keep_ballast(ground.folder)
        await held.enter_async_context(beating(keeping.lock, permit, deadline=intent.deadline))
        await _look_at_present(change)
        change.intent = change.intent.model_copy(update={"replaced": change.replaced.digest if change.replaced else ""})
        await keeping.promise.write(change.intent)
    except (PlatformTrouble, OSError) as trouble:
        raise PermanentError(str(trouble)) from trouble
    tell(ChangeOpened(ground.environment, asked.release, change.url))
    return change


async def prepared(ground: Ground, delivery: DeliverySettings, keeping: Safekeeping, permit: Permit) -> Platform:
    """The environment's platform, ready for a change; when it is not, the right to change it goes back."""
    try:
        return await choosing.prepare(ground, delivery)
    except BaseException:
        await keeping.lock.release(permit)
        raise


def _refuse_when_frozen(asked: Asked) -> None:
    if asked.kind is Kind.ROLLBACK:
        return  # Going back is what a freeze must never stop.
    if frozen := freeze_on(asked.delivery.freezes, asked.ground.environment, datetime.now(UTC)):
        raise NotAllowed(f"{frozen}; wait, or change [delivery.freezes]")


def _claim(asked: Asked) -> Claim:
    return Claim(
        token=str(uuid4()),
        who=asked.who,
        reason=f"{asked.kind} of {asked.release.version}",
        run=asked.run,
        since=time.time(),
    )


async def _take(asked: Asked, keeping: Safekeeping, claim: Claim) -> Permit:
    """The lock, as soon as nobody else has it and within the time that the caller wants to wait."""
    deadline = machine_seconds() + asked.wait_seconds
    while True:
        try:
            return await keeping.lock.take(claim, passes_hold=asked.kind is Kind.ROLLBACK)
        except EnvironmentBusy as busy:
            if machine_seconds() >= deadline:
                raise NotAllowed(str(busy)) from busy
        # NOTE: the lock is another process's or machine's, which tells nobody of its end.
        await asyncio.sleep(_BUSY_POLL_SECONDS)


async def _look_at_present(change: Change) -> None:
    present = await change.platform.status(change.ground.environment)
    change.replaced, change.url = present.stable, present.url
    if present.candidate is not None:
        await change.platform.remove(change.permit)
    expected, found = change.asked.expected_stable, present.stable.digest if present.stable else ""
    if expected is not None and expected != found:
        raise NotAllowed(
            f"{change.ground.environment} runs another release than the one this was approved beside: ask again"
        )


def _intent(asked: Asked, claim: Claim) -> Intent:
    now = machine_seconds()
    return Intent(
        token=claim.token,
        target=asked.ground.target,
        source=asked.source,
        environment=asked.ground.environment,
        kind=asked.kind,
        release=asked.release,
        run=asked.run,
        who=asked.who,
        why=asked.why,
        boot=boot_id(),
        began=now,
        began_at=time.time(),
        deadline=now + asked.longest_seconds,
        gates=asked.gates,
        approvals=asked.approvals,
        override=asked.override,
        api_url=os.environ.get("PREFECT_API_URL", ""),
        notifications=asked.delivery.notifications,
    )


async def promise_of_database(change: Change, migrations: Migrations | None) -> None:
    """Put into the intent, before migrations begin, what whoever undoes the change must know; None: nothing changed."""
    change.intent = change.intent.model_copy(
        update={
            "migrations": migrations,
            "schema_before": change.schema_before or "",
            "backup": change.backup,
        }
    )
    await change.keeping.promise.write(change.intent)
    change.has_moved = True


async def must_be_permitted(change: Change) -> None:
    """Raises PermitRevoked when the environment is somebody else's now."""
    await change.keeping.lock.must_hold(change.permit)


async def _give_back(change: Change) -> None:
    """Intent and lock go when nothing is left to undo; else they stay, and the guard undoes what was left."""
    if change.has_moved and not change.is_settled:
        return
    # NOTE: what cannot be given back now is the guard's, which finds nothing left to undo.
    with suppress(PlatformTrouble):
        with suppress(PermitRevoked):
            await change.keeping.promise.forget(change.permit)
        await change.keeping.lock.release(change.permit)


def refuse_unknown_environment(delivery: DeliverySettings, environment: str) -> None:
    """Raises BadInput unless the target can be delivered to this environment at all."""
    if not delivery.components:
        raise BadInput("the target says nothing of delivery: add [delivery.components.NAME] to towpath.toml")
    if environment not in delivery.environments:
        known = ", ".join(delivery.environments) or "none"
        raise BadInput(f"there is no environment {environment}; known: {known}: see [delivery.environments]")
