"""Carrying out what people ask for in signed comments: approvals, canaries, checks again, strangers' commits.

Whatever becomes of it is noted at its delivery, a refusal with its reason. A command reaches only what belongs to the
repository in which it was written: who may speak for one repository cannot release another.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from deployments.answering import Answered, answer
from tasks.adapters.approvals import all_pending
from tasks.adapters.deliveries import Deliveries, Delivery, DeliveryState, StoredRun
from tasks.core.door_commands import Allow, Answering, Rerun, StartCanary
from tasks.core.door_settings import DoorSettings
from tasks.core.events import Command, Ignored, Refused, Trigger, Unknown, route
from tasks.core.origin import Origin
from tasks.core.outcome import ExitCode
from tasks.core.payloads import PayloadRefused
from tasks.core.platform import PlatformTrouble
from tasks.core.starts import Start, again, deployment_of_check, starts_of

_log = logging.getLogger("towpath.door")
_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = 5.0
_NO_COMMIT = "0" * 40
# How long an answer is offered to a server that is away: after that nobody expects it to count any more.
_OFFERED_SECONDS = 3600.0

Settled = tuple[DeliveryState, str, tuple[Start, ...]]


class Later(Exception):
    """It could not be done now; the text is one line."""


class Commands:
    """The loop beside the drain: an answer may take long, and runs must not wait for it."""

    def __init__(
        self, store: Deliveries, settings: DoorSettings, state: Path, *, on_start: Callable[[], None] = lambda: None
    ) -> None:
        self._store, self._settings, self._state, self._on_start = store, settings, state, on_start
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._woken.clear()
            seconds = _LOOK_SECONDS
            try:
                for delivery in await asyncio.wrap_future(self._store.unread()):
                    await self.carry_out(delivery)
            except Later as later:
                _log.warning("a command waits: %s", later)
                seconds = _AGAIN_SECONDS
            except Exception:  # noqa: BLE001  (the loop must outlive whatever one command does)
                _log.exception("a command could not be carried out")
                seconds = _AGAIN_SECONDS
            try:
                await asyncio.wait_for(self._woken.wait(), seconds)
            except TimeoutError:
                continue

    async def carry_out(self, delivery: Delivery) -> None:
        """Do it and note what became of it. Raises Later."""
        state, reason, starts = await self._settled(delivery)
        await asyncio.wrap_future(self._store.settle(delivery.id, state, reason, starts))
        if starts:
            self._on_start()

    async def _settled(self, delivery: Delivery) -> Settled:
        try:
            found = route(delivery.event, delivery.payload, self._settings)
        except PayloadRefused as refused:
            return DeliveryState.REFUSED, str(refused), ()
        match found:
            case Trigger():
                return DeliveryState.STARTED, "", found.runs
            case Ignored():
                return DeliveryState.IGNORED, found.reason, ()
            case Refused():
                return DeliveryState.REFUSED, found.reason, ()
            case Unknown():
                return DeliveryState.IGNORED, "an event that the door has no use for", ()
            case Command():
                return await self._obeyed(found, delivery)
            case _:
                assert_never(found)

    async def _obeyed(self, command: Command, delivery: Delivery) -> Settled:
        match command.word:
            case Answering() as word:
                return await self._answered(command, word, delivery)
            case StartCanary() as word:
                return await self._canary(command, word)
            case Rerun() as word:
                return await self._rerun(command, word)
            case Allow() as word:
                freed = await asyncio.wrap_future(
                    self._store.allow(command.repository, command.pull_request, word.commit, command.by)
                )
                self._on_start()
                return DeliveryState.STARTED, f"{command.by} lets {word.commit[:12]} run; {freed} run(s) set free", ()
            case _:
                assert_never(command.word)

    async def _answered(self, command: Command, word: Answering, delivery: Delivery) -> Settled:
        if reason := await self._foreign(command, word.run):
            return DeliveryState.REFUSED, reason, ()
        try:
            done = await answer(
                self._state,
                word.run,
                word.decision,
                by=command.by,
                reason=word.reason or f"by comment in {command.repository}",
                is_proved=True,
            )
        except PlatformTrouble as trouble:
            done = Answered(ExitCode.ERROR, f"the answer could not be judged: {trouble}")
        if done.exit_code is ExitCode.ERROR and time.time() - delivery.received_at < _OFFERED_SECONDS:
            raise Later(done.said)
        is_taken = done.exit_code is ExitCode.PASSED
        said = f"{command.by} {word.decision.value}s {word.run}: {done.said}"
        return (DeliveryState.STARTED if is_taken else DeliveryState.REFUSED), said, ()

    async def _foreign(self, command: Command, run: str) -> str:
        """Why a run is none of this repository's; empty when it is."""
        owners = await asyncio.wrap_future(self._store.repositories_of(run))
        if owners:
            is_own = owners == {command.repository.casefold()}
        else:
            asked = [each.pending.request for each in all_pending(self._state)]
            targets = {request.target for request in asked if request.run.startswith(run)}
            is_own = not targets or targets == {_name_of(command.target)}
        return "" if is_own else f"{command.by}: run {run} is not one of {command.repository}"

    async def _canary(self, command: Command, word: StartCanary) -> Settled:
        latest = await self._latest(command)
        if not word.ref and (latest is None or not latest.start.origin.is_trusted):
            which = "has no head that is known here" if latest is None else "is from a fork"
            said = f"{command.by}: pull request {command.pull_request} {which}: say /towpath canary start REF"
            return DeliveryState.REFUSED, said, ()
        commit = word.ref or (latest.start.origin.commit if latest else "")
        is_hash = bool(re.fullmatch(r"[0-9a-f]{40}", commit))
        origin = Origin(repository=command.repository, commit=commit if is_hash else _NO_COMMIT, is_trusted=True)
        (start,) = starts_of(["canary"], command.target, origin, who=command.by)
        # NOTE: what is known by a name alone has no commit that it could be shown at.
        known = {key: value for key, value in start.parameters.items() if key != "origin" or is_hash}
        parameters = {**known, "ref": commit}
        chosen = Start(start.deployment, parameters, origin)
        return DeliveryState.STARTED, f"{command.by} starts a canary of {commit}", (chosen,)

    async def _rerun(self, command: Command, word: Rerun) -> Settled:
        wanted = deployment_of_check(word.check)
        latest = await self._latest(command, deployment=wanted)
        if latest is None:
            said = f"{command.by}: no run of {wanted} is known for this pull request or commit"
            return DeliveryState.REFUSED, said, ()
        return DeliveryState.STARTED, f"{command.by} has {wanted} run again", (again(latest.start),)

    async def _latest(self, command: Command, *, deployment: str = "") -> StoredRun | None:
        found = await asyncio.wrap_future(
            self._store.latest(command.repository, pull_request=command.pull_request, commit=command.commit)
        )
        return next((run for run in found if deployment in ("", run.start.deployment)), None)


def _name_of(target: str) -> str:
    return target.rstrip("/").rpartition("/")[2].removesuffix(".git")
