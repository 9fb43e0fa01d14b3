"""What happens to a delivery after it was accepted: its runs are handed to Prefect, one or two at once, until all are.

It promises that each run is started once, whatever dies in between: what is not noted as done is done again, under the
key that it had. While the server is away it waits longer and longer, and gives up never. A stranger's change is not
given to a pool that runs on this machine unless somebody has allowed that very commit.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress

from tasks.adapters.deliveries import Deliveries, RunState, StoredRun
from tasks.adapters.flow_runs import ServerSilent
from tasks.adapters.hand_over import Deployment, RunRefused, Server
from tasks.core.door_settings import DoorSettings
from tasks.core.starts import Start

_log = logging.getLogger("towpath.door")
_LOOK_SECONDS = 1.0
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 15.0
_MISSING_SECONDS = 20.0
_AFTER_TROUBLE_SECONDS = 1.0
_BEGUN = "being handed over"


class Drain:
    """The loop. `wake` is for whoever has put something in the store; `trouble` says why nothing moves, if so."""

    def __init__(
        self,
        store: Deliveries,
        settings: DoorSettings,
        connect: Callable[[], Server],
        *,
        on_run: Callable[[RunState], None] = lambda _: None,
    ) -> None:
        self._store, self._settings, self._connect, self._on_run = store, settings, connect, on_run
        self._woken = asyncio.Event()
        self.trouble = ""

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        failures = 0
        while True:
            try:
                async with self._connect() as server:
                    while True:
                        self._woken.clear()
                        is_moving = await self.turn(server)
                        failures, self.trouble = 0, ""
                        if not is_moving:
                            await self._rest(_LOOK_SECONDS)
            except ServerSilent as silent:
                self.trouble = str(silent)
            except Exception:  # noqa: BLE001  (a drain that ends loses nothing, but nothing moves either)
                self.trouble = "the drain met something unforeseen; its log says what"
                _log.exception("the drain goes on after something unforeseen")
            failures += 1
            longest = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** min(failures, 10))
            # NOTE: a delivery that arrives meanwhile must not make a server that is down be asked sooner.
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)

    async def turn(self, server: Server) -> bool:
        """Hand over what is due, a few at most; whether there was anything. Raises ServerSilent."""
        due = await asyncio.wrap_future(self._store.due(time.time(), self._settings.hand_overs))
        parts = [asyncio.create_task(self._hand_over(server, run)) for run in due]
        try:
            await asyncio.gather(*parts)
        finally:
            await asyncio.gather(*parts, return_exceptions=True)
        return bool(due)

    async def _hand_over(self, server: Server, run: StoredRun) -> None:
        """One run, which after trouble lets the others go first, since the trouble may be its own."""
        try:
            await self._try(server, run)
        except ServerSilent:
            await self._put_off(run, _AFTER_TROUBLE_SECONDS)
            raise
        except Exception:  # noqa: BLE001  (one run must not keep the others)
            _log.exception("%s could not be handed over", run.idempotency_key)
            await self._put_off(run, _MISSING_SECONDS)

    async def _put_off(self, run: StoredRun, seconds: float) -> None:
        if run.state is RunState.WAITING:
            await asyncio.wrap_future(self._store.put_off(run, time.time() + seconds))

    async def _try(self, server: Server, run: StoredRun) -> None:
        rivals = await asyncio.wrap_future(self._store.rivals(run)) if run.start.cancels else []
        is_stale = any(_age(each) > _age(run) for each in rivals)
        if is_stale and run.reason != _BEGUN:
            await self._note(run, RunState.SUPERSEDED, reason="a newer commit of the pull request had arrived")
            return
        match await self._deployment_for(server, run):
            case Deployment() as deployment:
                await self._begin(server, run, deployment, rivals, is_stale=is_stale)
            case RunState() as state, str() as reason:
                later = time.time() + _MISSING_SECONDS if state is RunState.WAITING else 0.0
                await self._note(run, state, reason=reason, not_before=later)
                if state is RunState.HELD and await asyncio.wrap_future(self._store.is_allowed(run)):
                    # NOTE: somebody allowed it between the look and the note.
                    await self._note(run, RunState.WAITING)

    async def _begin(
        self, server: Server, run: StoredRun, deployment: Deployment, rivals: list[StoredRun], *, is_stale: bool
    ) -> None:
        start = run.start
        parameters = {
            key: value for key, value in start.parameters.items() if key != "origin" or key in deployment.parameters
        }
        if start.cancels and run.reason != _BEGUN:
            # NOTE: a run that a crash leaves unnoted must still be found when a newer one makes it pointless.
            await asyncio.wrap_future(self._store.set_run(run, RunState.WAITING, reason=_BEGUN))
        try:
            flow_run = await server.start(
                deployment,
                parameters,
                tags=start.tags,
                key=run.idempotency_key,
            )
            for older in [run] if is_stale else [each for each in rivals if _age(each) < _age(run)]:
                await self._supersede(server, older, flow_run if older is run else older.run)
        except RunRefused as refused:
            await self._note(run, RunState.REFUSED, reason=str(refused))
            return
        if not is_stale:
            await self._note(run, RunState.STARTED, flow_run=flow_run)

    async def _supersede(self, server: Server, run: StoredRun, flow_run: str) -> None:
        reason = "a newer commit of the pull request arrived"
        if flow_run:
            with suppress(RunRefused):
                await server.cancel(flow_run, reason)
        elif run.reason == _BEGUN:
            # NOTE: whether it was created is not known; its own turn will create or find it, and cancel it.
            return
        await self._note(run, RunState.SUPERSEDED, flow_run=flow_run, reason=reason)

    async def _note(
        self, run: StoredRun, state: RunState, *, flow_run: str = "", reason: str = "", not_before: float = 0.0
    ) -> None:
        done = self._store.set_run(run, state, flow_run=flow_run, reason=reason, not_before=not_before)
        await asyncio.wrap_future(done)
        self._on_run(state)

    async def _deployment_for(self, server: Server, run: StoredRun) -> Deployment | tuple[RunState, str]:
        """The deployment that may have it, else what becomes of the run and why."""
        start = run.start
        if start.origin.is_trusted:
            found = await server.deployment(start.deployment)
            return found or _missing(start.deployment)
        apart = await server.deployment(f"{start.deployment}{self._settings.untrusted_suffix}")
        if apart is None or apart.pool_type == "process":
            if not await asyncio.wrap_future(self._store.is_allowed(run)):
                return RunState.HELD, _held(start)
            apart = apart or await server.deployment(start.deployment)
        if apart is None:
            return _missing(start.deployment)
        if "origin" not in apart.parameters:
            return RunState.REFUSED, f"{apart.name} takes no origin, so it would not know this change for a stranger's"
        return apart


def _age(run: StoredRun) -> tuple[str, int]:
    """GitHub may deliver the newer commit first: its own time goes before the order of arrival."""
    return run.start.moment, run.number


def _missing(name: str) -> tuple[RunState, str]:
    return RunState.WAITING, f"the Prefect server has no deployment {name}: towpath up registers it"


def _held(start: Start) -> str:
    return (
        f"a change from a fork, and no pool for such: read it, then comment /towpath ok {start.origin.commit}"
        f" on pull request {start.origin.pull_request}"
    )
