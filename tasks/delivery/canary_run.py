"""A canary while it runs: the machine that decides, the judge that looks, and the hands that do what is decided.

Everything that moves traffic goes through `happen`: an event is given to the pure machine, and what it answers is done
in order. Watching is plain calls and no Prefect tasks, so that it can go on while the flow run is paused for approval.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from tasks.adapters import canary_logs
from tasks.adapters.approvals import abort_asked
from tasks.adapters.intents import machine_seconds
from tasks.adapters.plots import Mark
from tasks.core.canary_log import CanaryLog, shifted
from tasks.core.counters import Snapshot
from tasks.core.judge import Judge
from tasks.core.judgement import Judgement
from tasks.core.platform import PermitRevoked, PlatformTrouble, Role
from tasks.core.rollout import Rollout, advance
from tasks.core.rollout_words import (
    AbortAsked,
    Action,
    Ask,
    Event,
    ExtendWindow,
    Happening,
    Judged,
    Phase,
    Place,
    Placed,
    Remove,
    Removed,
    ScaledUp,
    ScaleUp,
    SetWeight,
    TakeOver,
    Ticked,
    TookOver,
    WithdrawQuestion,
)
from tasks.delivery.change import Change, must_be_permitted, step
from tasks.delivery.rolling import place, shift, take_away, take_over, wait_until_ready
from tasks.retrying import PermanentError
from tasks.watching import CanaryLooked, tell


@dataclass(frozen=True)
class Decided:
    """A point of the canary's story: when, what the machine stood at, and why."""

    at: float
    phase: Phase
    weight: float
    why: str


class CanaryRun:
    """One canary. `origin` is the moment it got traffic, on the platform's clock; None before."""

    def __init__(self, change: Change, rollout: Rollout, head: CanaryLog) -> None:
        self.change = change
        self.rollout = rollout
        self.head = head
        self.folder: Path = change.ground.canaries / f"{change.started:%Y%m%d-%H%M%S}-{change.asked.run[:8]}"
        self.judgements: list[Judgement] = []
        self.snapshots: list[Snapshot] = []
        self.story: list[Decided] = []
        self.origin: float | None = None
        self.judge: Judge | None = None
        self._number = 0
        self._scaling: asyncio.Task[None] | None = None
        self._said = asyncio.Queue[Happening]()

    @property
    def is_open(self) -> bool:
        """Whether it is still to be watched or asked about."""
        return self.rollout.phase in (Phase.WATCHING, Phase.ASKING)

    @property
    def seconds(self) -> float:
        """Since the canary got traffic."""
        return 0.0 if self.origin is None else machine_seconds() - self.origin

    @property
    def replicas(self) -> dict[str, int]:
        chosen = self.change.delivery.canary.replicas
        return {name: chosen.get(name, 1) for name, number in self.change.release.replicas.items() if number}

    async def happen(self, what: Happening) -> None:
        """Give the machine an event, and do what it answers."""
        self._number += 1
        before = self.rollout
        self.rollout, actions = advance(before, Event(self._number, what), self.seconds)
        if (before.phase, before.weight) != (self.rollout.phase, self.rollout.weight):
            self.story.append(Decided(self.seconds, self.rollout.phase, self.rollout.weight, self.rollout.why))
        for action in actions:
            await self._do(action)

    def say(self, what: Happening) -> None:
        """From beside the watch: heard at its next turn."""
        self._said.put_nowait(what)

    async def _do(self, action: Action) -> None:
        match action:
            case Place():
                await place(self.change, self.replicas)
                await self.happen(Placed())
            case SetWeight():
                await self._set_weight(action.percent)
            case ExtendWindow():
                assert self.judge is not None, "a window that was never opened is not extended"
                self.judge.extend(action.until_seconds)
            case Ask() | WithdrawQuestion():
                pass  # Whoever asks looks at the state of the machine.
            case ScaleUp():
                self._scaling = asyncio.create_task(self._scale_up())
            case TakeOver():
                await take_over(self.change)
                await self.happen(TookOver())
            case Remove():
                await self._remove()
            case _:
                assert_never(action)

    async def _set_weight(self, percent: float) -> None:
        if self.rollout.phase is Phase.UNDOING:
            return  # Taking it away begins with its traffic, and is one step.
        if self.origin is None:
            await self._open_eyes(percent / 100)
        await shift(self.change, percent)

    async def _open_eyes(self, share: float) -> None:
        """The judge's first look, just before the canary gets traffic: the base of all counts."""
        canary, platform = self.change.delivery.canary, self.change.platform
        first = await platform.snapshot(self.change.ground.environment)
        recent = await platform.recent(self.change.ground.environment, canary.history_seconds)
        self.origin = first.at
        history = tuple(shifted(each, origin=first.at, share=0.0) for each in recent if each.at < first.at)
        self.judge = Judge(canary.policy(has_latency=self.head.has_latency), history)
        canary_logs.begin_log(self.folder, self.head, history)
        self._look(shifted(first, origin=first.at, share=share))

    def _look(self, snapshot: Snapshot) -> Judgement:
        assert self.judge is not None, "looked at before it had traffic"
        canary_logs.append(self.folder, snapshot)
        self.snapshots.append(snapshot)
        judgement = self.judge.observe(snapshot)
        self.judgements.append(judgement)
        tell(CanaryLooked(judgement, self.rollout))
        return judgement

    def story_lines(self) -> list[str]:
        """What was decided, in order, for the report."""
        return [
            f"after {each.at:.0f} s: {each.phase}, {each.weight:g} % of the traffic: {each.why}" for each in self.story
        ]

    def marks(self) -> list[Mark]:
        """The decisions on the time axis of the plot."""
        shown = (Phase.WATCHING, Phase.ASKING, Phase.SCALING, Phase.PROMOTED, Phase.UNDOING)
        return [Mark(each.at, f"{each.phase}, {each.weight:g} %") for each in self.story if each.phase in shown]

    async def watch(self, *, until: Callable[[Rollout], bool]) -> None:
        """Look at every scrape and hear what is said, until the machine stands where it is wanted."""
        next_look = machine_seconds()
        while not until(self.rollout):
            said = await self._next_word(next_look - machine_seconds())
            if said is not None:
                await self.happen(said)
                continue
            next_look = machine_seconds() + self.change.delivery.canary.scrape_seconds
            await self._look_once()

    async def _next_word(self, seconds: float) -> Happening | None:
        """What is said within the time, else None."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                return await self._said.get()
        except TimeoutError:
            return None

    async def _look_once(self) -> None:
        if asked := abort_asked(self.change.ground, self.change.asked.run):
            await self.happen(AbortAsked(asked))
            return
        assert self.origin is not None, "watched before it had traffic"
        snapshot = await self._scrape()
        judgement = self._look(shifted(snapshot, origin=self.origin, share=self.rollout.weight / 100))
        await self.happen(Judged(judgement.verdict, judgement.reason))
        await self.happen(Ticked())

    async def _scrape(self) -> Snapshot:
        """What the platform reads; that it cannot is for the judge to see, not the end of the watch."""
        try:
            await must_be_permitted(self.change)
            return await self.change.platform.snapshot(self.change.ground.environment)
        except PermitRevoked:
            raise
        except PlatformTrouble:
            return Snapshot(at=machine_seconds(), share=0.0, canary=None, stable=None)

    async def _scale_up(self) -> None:
        change = self.change
        wanted = {name: number for name, number in change.release.replicas.items() if number}
        try:
            async with step(change, "scale up") as saying:
                await change.platform.scale(change.permit, Role.CANDIDATE, wanted)
                await wait_until_ready(change, Role.CANDIDATE, wanted)
                saying.text = ", ".join(f"{number} {name}" for name, number in wanted.items())
        except (PlatformTrouble, PermanentError, OSError) as trouble:
            self.say(AbortAsked(str(trouble)))
        else:
            self.say(ScaledUp())

    async def _remove(self) -> None:
        if self._scaling is not None:
            self._scaling.cancel()
            with suppress(asyncio.CancelledError):
                await self._scaling
        await take_away(self.change)
        await self.happen(Removed())
