"""How much less a number of events says than it seems to, because events come in company.

Errors are rarely independent: a retry fails like its request did, a slow database fails a hundred requests at once,
one instance has a bad disk. Taken as independent, such events make a healthy canary look certainly broken. The
tracker measures, on stable's instances alone, by what factor phi the events vary more than independent ones would,
and the evidence is divided by it. It promises phi >= 1 and that nothing of the canary enters, and it must be asked
before it learns the block it is asked for.

Pearson's statistic about the block's own rate, so that a swing common to all instances cancels:
p = sum k / sum n, SS = sum (k_i - n_i p)^2, M = sum n_i p (1 - n_i / sum n), phi = SS / M.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

BLOCKS_PER_GROUP = 6
GROUP_DISCOUNT = 0.9
GROUP_EVENTS_NEEDED = 10.0
INSTANCES_TO_DIFFER = 3
SHARE_BLOCKS = 60
SHARE_BLOCKS_NEEDED = 5


class InstanceEvents(NamedTuple):
    """Requests of one instance in one block, and how many of them were the event."""

    instance: str
    requests: float
    events: float


Pair = tuple[float, float]


class _Spread:
    """Running sums of SS and M over blocks of one length."""

    def __init__(self) -> None:
        self.squares = 0.0
        self.expected = 0.0
        self._recent: deque[Pair] = deque(maxlen=BLOCKS_PER_GROUP)

    def add(self, pairs: Sequence[Pair]) -> None:
        if len(pairs) == 1:
            # One instance has no peers, so its own recent past takes their place: that holds common swings against it.
            self._recent.append(pairs[0])
            pairs = tuple(self._recent)
        squares, expected, _ = spread(pairs)
        self.squares += squares
        self.expected += expected

    def phi(self, prior: float, prior_events: float) -> float:
        return (self.squares + prior_events * prior) / (self.expected + prior_events)


class Overdispersion:
    """The factor phi of one kind of event, learned from stable's instances block by block."""

    def __init__(self, *, prior: float, prior_events: float, slack: float) -> None:
        self._prior = prior
        self._prior_events = prior_events
        self._slack = slack
        self._blocks = _Spread()
        self._groups = _Spread()
        self._group: dict[str, Pair] = {}
        self._group_blocks = 0
        self._totals: dict[str, Pair] = {}
        self._lasting_per_request = 0.0
        self.short = max(1.0, prior)

    def phi(self, canary_requests: float) -> float:
        """Phi for the next block, at least 1, `canary_requests` being those compared before it.

        Lasting differences between instances add up with every request, so their part grows with them.
        """
        return self.short + self._lasting_per_request * canary_requests

    def learn(self, events: Sequence[InstanceEvents]) -> None:
        """Take in one block of stable's instances, after the block was used."""
        if not events:
            return
        self._blocks.add([(requests, count) for _, requests, count in events])
        group = self._group
        for instance, requests, count in events:
            before, events_before = group.get(instance, (0.0, 0.0))
            group[instance] = (before + requests, events_before + count)
        self._group_blocks += 1
        if self._group_blocks == BLOCKS_PER_GROUP:
            self._close_group()
        self.short = self._short()

    def _close_group(self) -> None:
        self._groups.add(tuple(self._group.values()))
        for instance, (requests, count) in self._group.items():
            before, events_before = self._totals.get(instance, (0.0, 0.0))
            self._totals[instance] = (before + requests, events_before + count)
        self._group, self._group_blocks = {}, 0
        self._lasting_per_request = self._lasting()

    def _short(self) -> float:
        phi = max(1.0, self._blocks.phi(self._prior, self._prior_events))
        if self._groups.expected > GROUP_EVENTS_NEEDED:
            phi = max(phi, GROUP_DISCOUNT * self._groups.phi(self._prior, self._prior_events))
        return phi

    def _lasting(self) -> float:
        """Squared variation between instances beyond chance, times the rate: what each canary request adds to phi."""
        pairs = tuple(self._totals.values())
        if len(pairs) < INSTANCES_TO_DIFFER:
            return 0.0
        squares, expected, rate = spread(pairs)
        scale = rate * rate * sum(requests * requests for requests, _ in pairs)
        if scale <= 0:
            return 0.0
        by_chance = self._short() * expected * (1 + self._slack * math.sqrt(2 / (len(pairs) - 1)))
        return max(0.0, (squares - by_chance) / scale) * rate


def spread(pairs: Sequence[Pair]) -> tuple[float, float, float]:
    """SS, M and the common rate p of (requests, events) pairs; zeros where there was no request or no event."""
    total = events = squared_requests = squared_events = mixed = 0.0
    for requests, count in pairs:
        total += requests
        squared_requests += requests * requests
        if count:
            events += count
            squared_events += count * count
            mixed += count * requests
    if events <= 0 or total <= 0:
        return 0.0, 0.0, 0.0
    rate = events / total
    squares = squared_events - 2 * rate * mixed + rate * rate * squared_requests
    return max(0.0, squares), rate * (total - squared_requests / total), rate


class ShareDispersion:
    """How lumpy the canary's share of the requests is, since a router may split connections instead of requests."""

    def __init__(self, least: float) -> None:
        self._least = least
        self._recent: deque[Pair] = deque(maxlen=SHARE_BLOCKS)

    def phi(self) -> float:
        """Variance of the recent blocks' share about its own mean, over the binomial one; at least `least`."""
        if len(self._recent) < SHARE_BLOCKS_NEEDED:
            return self._least
        total = sum(requests for requests, _ in self._recent)
        share = sum(canary for _, canary in self._recent) / total
        if not 0 < share < 1:
            return self._least
        squares = sum((canary - requests * share) ** 2 / requests for requests, canary in self._recent)
        return max(self._least, squares / (share * (1 - share) * (len(self._recent) - 1)))

    def learn(self, requests: float, canary_requests: float) -> None:
        """Take in one block with at least one request, after the block was used."""
        self._recent.append((requests, canary_requests))
