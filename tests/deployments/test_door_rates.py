"""How much one address may ask for: never more than a minute's worth at once, and all of it again after a minute."""

from hypothesis import given
from hypothesis import strategies as st

from deployments.door_rates import Rates


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(per_minute=st.integers(1, 50), steps=st.lists(st.floats(0, 90), max_size=80))
def test_bound(per_minute: int, steps: list[float]) -> None:
    """However requests are spread, those let through never exceed a bucket and what has flowed in since."""
    clock, let_through = Clock(), 0
    rates = Rates(per_minute, clock)
    for seconds in steps:
        clock.now += seconds
        let_through += rates.take("a") == 0

        assert let_through <= per_minute + clock.now * per_minute / 60 + 1e-6


@given(per_minute=st.integers(1, 50))
def test_wait(per_minute: int) -> None:
    """Who waits for as long as he was told is let through; another address is not kept by it."""
    clock = Clock()
    rates = Rates(per_minute, clock)
    assert not rates.knows("a")
    while not (wait := rates.take("a")):
        assert clock.now == 0

    assert rates.knows("a")
    assert rates.wait("a") == rates.wait("a") == wait
    assert rates.wait("b") == rates.take("b") == 0
    clock.now += wait
    assert rates.take("a") == 0
