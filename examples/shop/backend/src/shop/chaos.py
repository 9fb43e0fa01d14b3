"""Misbehaviour on demand: what the environment asked for at start, changed by POST /chaos.

The switch-board exists only with SHOP_CHAOS=1: without it the route is not there at all.
"""

import asyncio
import random
from dataclasses import asdict

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from shop.settings import Misbehaviour

router = APIRouter()


class Switches(BaseModel):
    """Fields left out keep their value. A slow start is past when this can be called."""

    error_rate: float | None = Field(default=None, ge=0, le=1)
    latency_ms: float | None = Field(default=None, ge=0, le=60_000)
    refuse_readiness: bool | None = None


class Chaos:
    def __init__(self, misbehaviour: Misbehaviour, dice: random.Random) -> None:
        self.now = misbehaviour
        self._dice = dice

    def change(self, switches: Switches) -> None:
        wanted = switches.model_dump(exclude_none=True)
        self.now = Misbehaviour(**{**asdict(self.now), **wanted})

    async def delay(self) -> None:
        if self.now.latency_ms:
            await asyncio.sleep(self.now.latency_ms / 1000)

    def should_fail(self) -> bool:
        return self._dice.random() < self.now.error_rate


@router.post("/chaos")
def change(switches: Switches, request: Request) -> Misbehaviour:
    chaos: Chaos = request.app.state.chaos
    chaos.change(switches)
    return chaos.now
