"""The beginning of a run: its folders, its snapshot, its settings."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from uuid import uuid4

from prefect.context import FlowRunContext
from prefect.settings import get_current_settings

from tasks.adapters.live_runs import hold_run
from tasks.adapters.state import state_home
from tasks.preparing import checkout, configure
from tasks.request import CiRequest
from tasks.watching import RunStarted, tell
from tasks.workplace import Workplace


async def open_workplace(held: AsyncExitStack, request: CiRequest) -> Workplace:
    """Everything a run needs, given back when `held` is closed. Raises PermanentError or TemporaryError."""
    state, run_id, now = state_home(), current_run_id(), datetime.now(UTC)
    held.enter_context(hold_run(state, run_id))
    tell(RunStarted(run_id, run_page(run_id)))
    snapshot = await checkout(held, request.target, request.ref, state)
    folder = state / "reports" / f"{now:%Y%m%d-%H%M%S}-{snapshot.name}-{run_id[:8]}"
    settings = configure(snapshot, request.overrides)
    return Workplace(snapshot=snapshot, settings=settings, state=state, folder=folder, run_id=run_id, started=now)


def current_run_id() -> str:
    context = FlowRunContext.get()
    return str(context.flow_run.id) if context and context.flow_run else str(uuid4())


def run_page(run_id: str) -> str:
    """The run's page in the Prefect UI."""
    base = get_current_settings().ui_url or (get_current_settings().api.url or "").removesuffix("/api")
    return f"{base}/runs/flow-run/{run_id}"
