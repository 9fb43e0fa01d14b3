"""`python -m tests.deployments.dying_flow HOME PHASE RELEASE`: a rollout by the real machine, on a real cluster.

It says so on standard output when it has come to the phase, and goes no further: whoever started it kills it there. In
the two phases that are over in a moment it says so before it acts, so that it is killed in the middle.
"""

import asyncio
import sys
import time
from pathlib import Path
from uuid import uuid4

from tasks.adapters.grounds import Ground
from tasks.adapters.heartbeats import beating
from tasks.adapters.intents import boot_id, machine_seconds
from tasks.adapters.platforms.choosing import platform_of, safekeeping_of
from tasks.core.intent import Intent
from tasks.core.judgement import CanaryVerdict
from tasks.core.platform import Permit, Platform, Role
from tasks.core.records import Kind
from tasks.core.release import Release
from tasks.core.rollout import Rollout, advance
from tasks.core.rollout_plan import RolloutPlan
from tasks.core.rollout_words import (
    AbortAsked,
    Action,
    Approved,
    Began,
    Event,
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
    TookOver,
)
from tasks.core.safekeeping import Claim

_GOOD: tuple[Happening, ...] = (
    Began(),
    Placed(),
    Judged(CanaryVerdict.PASS, "as good as the stable release"),
    Approved("Ann"),
    ScaledUp(),
    TookOver(),
)
_BAD: tuple[Happening, ...] = (Began(), Placed(), AbortAsked("it is bad"), Removed())
_SAID_BEFORE = frozenset({Phase.PROMOTING, Phase.UNDOING})


class Flow:
    """One rollout of a release, under its permit."""

    def __init__(self, platform: Platform, permit: Permit, release: Release, last: Phase) -> None:
        self._platform, self._permit, self._release, self._last = platform, permit, release, last

    async def go(self) -> None:
        rollout = Rollout(plan=RolloutPlan(step_seconds=0.0))
        story = iter(_BAD if self._last in (Phase.UNDOING, Phase.ROLLED_BACK) else _GOOD)
        number = 0
        while rollout.phase is not self._last:
            number += 1
            rollout, actions = advance(rollout, Event(number, next(story)), now=0.0)
            if rollout.phase is self._last and self._last in _SAID_BEFORE:
                say_there()
            for action in actions:
                await self._do(action)

    async def _do(self, action: Action) -> None:
        match action:
            case Place():
                await self._platform.put(self._permit, self._release, {"web": 1})
                await self._until_ready(1)
            case SetWeight():
                await self._platform.set_weight(self._permit, action.percent)
            case ScaleUp():
                await self._platform.scale(self._permit, Role.CANDIDATE, dict(self._release.replicas))
                await self._until_ready(self._release.replicas["web"])
            case TakeOver():
                await self._platform.promote(self._permit)
            case Remove():
                await self._platform.remove(self._permit)
            case _:
                pass  # Questions and windows move nothing in a cluster.

    async def _until_ready(self, number: int) -> None:
        while (await self._platform.status("production")).lacking(Role.CANDIDATE, {"web": number}):
            await asyncio.sleep(0.2)


def say_there() -> None:
    sys.stdout.write("there\n")
    sys.stdout.flush()


async def main(home: str, last: Phase, release: Release) -> None:
    ground = Ground(Path(home), "shop", "production")
    keeping, platform = safekeeping_of(ground), platform_of(ground)
    claim = Claim(str(uuid4()), "Ann", f"a canary of {release.version}", f"run-{last}-{uuid4()}", time.time())
    permit = await keeping.lock.take(claim)
    intent = _intent(claim, release)
    async with beating(keeping.lock, permit, deadline=intent.deadline):
        stable = (await platform.status("production")).stable
        await keeping.promise.write(intent.model_copy(update={"replaced": stable.digest if stable else ""}))
        await Flow(platform, permit, release, last).go()
        if last not in _SAID_BEFORE:
            say_there()
        await asyncio.Event().wait()


def _intent(claim: Claim, release: Release) -> Intent:
    now = machine_seconds()
    return Intent(
        token=claim.token,
        target="shop",
        environment="production",
        kind=Kind.CANARY,
        release=release,
        run=claim.run,
        who=claim.who,
        boot=boot_id(),
        began=now,
        began_at=claim.since,
        deadline=now + 3600.0,
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Phase(sys.argv[2]), Release.model_validate_json(sys.argv[3])))
