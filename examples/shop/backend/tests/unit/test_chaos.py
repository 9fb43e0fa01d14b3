"""The switch-board."""

import asyncio
import random

from shop.chaos import Chaos, Switches
from shop.models import Order, OrderLine
from shop.settings import Misbehaviour


def test_an_error_rate_is_a_share_of_requests() -> None:
    chaos = Chaos(Misbehaviour(error_rate=0.3), random.Random(1))

    failures = sum(chaos.should_fail() for _ in range(1000))

    assert 250 < failures < 350


def test_a_shop_that_was_not_asked_never_misbehaves() -> None:
    chaos = Chaos(Misbehaviour(), random.Random(1))

    assert not any(chaos.should_fail() for _ in range(1000))
    asyncio.run(chaos.delay())


def test_switches_left_out_keep_their_value() -> None:
    chaos = Chaos(Misbehaviour(error_rate=0.3), random.Random(1))

    chaos.change(Switches(latency_ms=20))

    assert Misbehaviour(error_rate=0.3, latency_ms=20) == chaos.now


def test_an_order_adds_up_its_lines() -> None:
    lines = [OrderLine(quantity=2, unit_price_cents=150), OrderLine(quantity=1, unit_price_cents=5)]

    assert Order(customer="Ada", lines=lines).total_cents == 305
