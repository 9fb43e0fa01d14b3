"""Whether the canary gets the traffic it was promised: none at all, the right share, or another one.

A canary nobody calls has no errors, and looks perfect. So silence is measured: how long no request came while some
were due, and whether the share that did come fits the one that was set.
"""

from collections import deque

from tasks.core.blocks import Block
from tasks.core.canary_policy import JudgePolicy
from tasks.core.overdispersion import ShareDispersion
from tasks.core.sequential import SplitWealth

CLOCK_PRECISION_SECONDS = 1e-6


class Traffic:
    """Requests of both arms in all, in the last window, and since the share was last set."""

    def __init__(self, policy: JudgePolicy) -> None:
        self._policy = policy
        self._window: deque[tuple[float, float, float, float]] = deque()
        self._first_at: float | None = None
        self._start_split(None)
        self.canary_requests = self.canary_errors = self.stable_requests = self.stable_errors = 0.0
        self.comparable_blocks = 0

    def observe(self, block: Block) -> None:
        """Take in one block; the first, which has no length, only says since when there is something to see."""
        if self._first_at is None:
            self._first_at = block.at
            return
        canary = sum(delta.requests for delta in block.canary)
        stable = sum(delta.requests for delta in block.stable)
        self.canary_requests += canary
        self.stable_requests += stable
        self.canary_errors += sum(delta.errors for delta in block.canary)
        self.stable_errors += sum(delta.errors for delta in block.stable)
        self.comparable_blocks += canary > 0 and stable > 0
        self._move_window(block, canary, stable)
        self._observe_split(block.share, canary, stable)

    @property
    def is_split_wrong(self) -> bool:
        return self.split_wealth >= 1 / self._policy.share_alpha

    @property
    def split_wealth(self) -> float:
        return self._split.value

    @property
    def observed_share(self) -> float | None:
        """The canary's part of the requests (0 to 1) since the share was last set; None without any."""
        canary, stable = self._since_share
        return canary / (canary + stable) if canary + stable > 0 else None

    @property
    def window_stable_requests(self) -> float:
        return sum(stable for _, _, stable, _ in self._window)

    def is_silent(self, at: float, deadline_seconds: float) -> bool:
        """Whether no request reached the canary over the whole last window though some were due."""
        window = self._policy.zero_window_seconds
        is_covered = self._first_at is not None and self._first_at <= at - window + CLOCK_PRECISION_SECONDS
        if not is_covered or any(canary > 0 for _, canary, _, _ in self._window):
            return False
        expected = sum(due for _, _, _, due in self._window)
        is_over = at >= deadline_seconds and self.canary_requests == 0
        return self.window_stable_requests == 0 or expected >= self._policy.zero_expected_requests or is_over

    def _move_window(self, block: Block, canary: float, stable: float) -> None:
        share = self._share if block.share is None else block.share
        due = stable * share / (1 - share) if share is not None and share < 1 else 0.0
        self._window.append((block.at, canary, stable, due))
        begin = block.at - self._policy.zero_window_seconds + CLOCK_PRECISION_SECONDS
        while self._window[0][0] <= begin:
            self._window.popleft()

    def _start_split(self, share: float | None) -> None:
        self._share = share
        self._split = SplitWealth(self._policy.share_tolerance)
        self._dispersion = ShareDispersion(self._policy.share_phi)
        self._since_share = (0.0, 0.0)

    def _observe_split(self, share: float | None, canary: float, stable: float) -> None:
        """A new share is a new claim and starts anew; the block in which it was set says nothing about either."""
        if share is None:
            return
        if share != self._share:
            self._start_split(share)
        before = self._since_share
        self._since_share = (before[0] + canary, before[1] + stable)
        if canary > 0:
            self._split.multiply(canary, stable, share=share, phi=self._dispersion.phi())
            self._dispersion.learn(canary + stable, canary)
