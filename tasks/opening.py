"""The beginning of a run: its folders, its snapshot, its settings."""

import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from prefect.context import FlowRunContext
from prefect.settings import get_current_settings

from tasks.adapters.live_runs import hold_run
from tasks.adapters.sealing import Seal, SealMissing, sealed
from tasks.adapters.snapshots import Snapshot
from tasks.adapters.state import state_home
from tasks.adapters.tier_homes import tier_home
from tasks.core.origin import Origin
from tasks.core.tiers import TRUSTED, tier_of
from tasks.preparing import checkout
from tasks.retrying import NotAllowed
from tasks.ruling import settings_and_rules
from tasks.watching import RunStarted, tell
from tasks.workplace import Workplace


class Asked(Protocol):
    """What any run over a target is told."""

    @property
    def target(self) -> str: ...
    @property
    def ref(self) -> str | None: ...
    @property
    def overrides(self) -> tuple[str, ...]: ...
    @property
    def origin(self) -> Origin | None: ...


@dataclass(frozen=True)
class OpenRun:
    """A run that is marked as alive: where it keeps what it makes, its id, how far it is trusted, when it began."""

    state: Path
    run_id: str
    tier: str
    started: datetime

    def folder(self, name: str) -> Path:
        """The run's own folder, for its report and logs."""
        return self.state / "reports" / f"{self.started:%Y%m%d-%H%M%S}-{name}-{self.run_id[:8]}"


def open_run(held: AsyncExitStack, origin: Origin | None = None) -> OpenRun:
    """Mark the run as alive until `held` is closed, and tell where it can be seen."""
    home, tier, run_id, started = state_home(), tier_of(origin), current_run_id(), datetime.now(UTC)
    held.enter_context(hold_run(home, run_id))
    state = held.enter_context(tier_home(home, tier, now=started.timestamp()))
    tell(RunStarted(run_id, run_page(run_id)))
    return OpenRun(state, run_id, tier, started)


def keep_apart(held: AsyncExitStack, run: OpenRun | Workplace, *snapshots: Snapshot) -> None:
    """A stranger's code runs in rooms from here on until `held` is closed, whatever tool runs it. Raises NotAllowed."""
    if run.tier == TRUSTED or os.environ.get("TOWPATH_ROOM") == "pool":
        return
    tools = run.state / "tools"
    written = [(each.tree, each.caches, each.environments) for each in snapshots]
    seal = Seal(
        readable=(tools, tools.resolve()),
        writable=tuple(place for places in written for place in places),
        home=snapshots[0].caches / "home",
        scratch=run.state,
    )
    try:
        held.enter_context(sealed(seal))
    except SealMissing as missing:
        raise NotAllowed(str(missing)) from missing


async def open_workplace(held: AsyncExitStack, request: Asked) -> Workplace:
    """Everything a run over a target needs, given back when `held` is closed. Raises PermanentError, TemporaryError."""
    run = open_run(held, request.origin)
    snapshot = await checkout(held, request.target, request.ref, run.state)
    keep_apart(held, run, snapshot)
    settings, rules = await settings_and_rules(request.target, request.origin, snapshot, request.overrides, run.state)
    return Workplace(
        snapshot=snapshot,
        settings=settings,
        rules=rules,
        state=run.state,
        folder=run.folder(snapshot.name),
        run_id=run.run_id,
        tier=run.tier,
        started=run.started,
        overrides=request.overrides,
    )


def current_run_id() -> str:
    context = FlowRunContext.get()
    return str(context.flow_run.id) if context and context.flow_run else str(uuid4())


def run_page(run_id: str) -> str:
    """The run's page in the Prefect UI."""
    base = get_current_settings().ui_url or (get_current_settings().api.url or "").removesuffix("/api")
    return f"{base}/runs/flow-run/{run_id}"
