"""Carrying out what people ask for in signed comments: approvals, canaries, checks again, strangers' commits.

Whatever becomes of it is noted at its delivery, a refusal with its reason. A command reaches only what belongs to the
repository in which it was written: who may speak for one repository cannot release another.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import assert_never

from deployments.answering import Answered, answer
from tasks.adapters.approvals import all_pending
from tasks.adapters.deliveries import Deliveries, Delivery, DeliveryState, StoredRun
from tasks.adapters.forges import forge_of
from tasks.adapters.grounds import known_grounds
from tasks.adapters.platforms.choosing import safekeeping_of
from tasks.core.door_commands import Allow, Answering, Rerun, StartCanary
from tasks.core.door_settings import DoorSettings
from tasks.core.events import Command, Ignored, Refused, Trigger, Unknown, route
from tasks.core.origin import Origin
from tasks.core.outcome import ExitCode
from tasks.core.payloads import PayloadRefused
from tasks.core.platform import PlatformTrouble
from tasks.core.repository_address import is_same_repository
from tasks.core.starts import Start, again, deployment_of_check, starts_of

_log = logging.getLogger("towpath.door")
_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = 5.0
# The fewest letters of a run's id that a command takes.
_RUN_LETTERS = 8
_NO_COMMIT = "0" * 40
# How long an answer is offered to a server that is away: after that nobody expects it to count any more.
_OFFERED_SECONDS = 3600.0

Settled = tuple[DeliveryState, str, tuple[Start, ...]]


class Later(Exception):
    """It could not be done now; the text is one line."""


@dataclass(frozen=True)
class _PutOff:
    """A command that could not be carried out yet: until when it waits, whom it speaks to, and its place in line."""

    until: float
    run: str
    place: tuple[float, str]

    def keeps(self, other: "_PutOff") -> bool:
        return bool(self.run) and self.run == other.run and self.place < other.place


class Commands:
    """The loop beside the drain: an answer may take long, and runs must not wait for it."""

    def __init__(
        self, store: Deliveries, settings: DoorSettings, state: Path, *, on_start: Callable[[], None] = lambda: None
    ) -> None:
        self._store, self._settings, self._state, self._on_start = store, settings, state, on_start
        self._woken = asyncio.Event()
        self._put_off: dict[str, _PutOff] = {}

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._woken.clear()
            try:
                await self.turn()
            except Exception:  # noqa: BLE001  (the loop must outlive whatever the store does)
                _log.exception("commands could not be looked for")
            try:
                await asyncio.wait_for(self._woken.wait(), _LOOK_SECONDS)
            except TimeoutError:
                continue

    async def turn(self) -> None:
        """Everything whose turn it is. What is put off keeps nothing else, but for later words to the same run."""
        now = time.monotonic()
        waiting = [name for name, each in self._put_off.items() if each.until > now]
        for delivery in await asyncio.wrap_future(self._store.unread(without=waiting)):
            mine = _PutOff(now + _AGAIN_SECONDS, self._run_named(delivery), (delivery.received_at, delivery.id))
            if any(each.keeps(mine) for each in self._put_off.values()):
                self._put_off[delivery.id] = mine
                continue
            self._put_off.pop(delivery.id, None)
            try:
                await self.carry_out(delivery)
            except Later as later:
                _log.warning("a command waits: %s", later)
                self._put_off[delivery.id] = mine
            except Exception as failure:  # noqa: BLE001  (one command must not keep the others)
                _log.exception("delivery %s could not be carried out", delivery.id)
                self._put_off[delivery.id] = mine
                await self._give_up_when_old(delivery, failure)

    async def _give_up_when_old(self, delivery: Delivery, failure: Exception) -> None:
        if time.time() - delivery.received_at < _OFFERED_SECONDS:
            return
        self._put_off.pop(delivery.id, None)
        said = f"Towpath itself failed at it: {type(failure).__name__}: {failure}"
        await asyncio.wrap_future(self._store.settle(delivery.id, DeliveryState.REFUSED, said))

    def _run_named(self, delivery: Delivery) -> str:
        """As much as tells one run from another of the run that a command speaks to; empty where it speaks to none."""
        with suppress(PayloadRefused, ValueError):
            found = route(delivery.event, delivery.payload, self._settings)
            if isinstance(found, Command) and isinstance(found.word, Answering):
                return found.word.run[:_RUN_LETTERS]
        return ""

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
                is_in=partial(_is_in_team, command),
            )
        except PlatformTrouble as trouble:
            done = Answered(ExitCode.ERROR, f"the answer could not be judged: {trouble}")
        if done.exit_code is ExitCode.ERROR and time.time() - delivery.received_at < _OFFERED_SECONDS:
            raise Later(done.said)
        is_taken = done.exit_code is ExitCode.PASSED
        said = f"{command.by} {word.decision.value}s {word.run}: {done.said}"
        return (DeliveryState.STARTED if is_taken else DeliveryState.REFUSED), said, ()

    async def _foreign(self, command: Command, run: str) -> str:
        """Why a run is none of this repository's; empty when it is. Nothing is told of a run of another."""
        begun = await asyncio.wrap_future(self._store.repositories_of(run))
        sources = {name: source for name, source in (await _sources(self._state)).items() if name.startswith(run)}
        strange = f"{command.by}: run {run} is not one of {command.repository}"
        if any(repository != command.repository.casefold() for repository in begun.values()):
            return strange
        if any(not is_same_repository(source, command.target) for name, source in sources.items() if name not in begun):
            return f"{strange}: where it was started, towpath approve and towpath reject answer it"
        return "" if begun or sources else f"{command.by}: no run {run} waits that is known for {command.repository}"

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
        return DeliveryState.STARTED, f"{command.by} has {wanted} run again", (again(latest.start, word.check),)

    async def _latest(self, command: Command, *, deployment: str = "") -> StoredRun | None:
        found = await asyncio.wrap_future(
            self._store.latest(command.repository, pull_request=command.pull_request, commit=command.commit)
        )
        return next((run for run in found if deployment in ("", run.start.deployment)), None)


async def _is_in_team(command: Command, team: str) -> bool:
    """Whether the forge says so. Raises ForgeLater, ForgeRefused."""
    asked = Origin(repository=command.repository, commit=_NO_COMMIT, is_trusted=True)
    async with forge_of(asked) as forge:
        return await forge.is_in_team(command.by, team)


async def _sources(state: Path) -> dict[str, str]:
    """Every run that asks or changes something now, with the address of its target."""
    requests = [each.pending.request for each in all_pending(state)]
    promised = [await safekeeping_of(ground).promise.read() for ground in known_grounds(state)]
    changes = [intent for intent in promised if intent is not None]
    return {each.run: each.source for each in requests} | {each.run: each.source for each in changes}
