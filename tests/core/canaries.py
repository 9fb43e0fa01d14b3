"""Canaries for tests, told as what each arm counted in each block."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from tasks.core.counters import Counters, Snapshot
from tasks.core.judge import Judge, Judgement

BOUNDS = (0.1, 0.5)
OLD = -3600.0

Blocks = Sequence[tuple[int, int]]


def latency(requests: int, slow: int = 0) -> tuple[float, ...]:
    """Four in five requests are quick, one in five is not, of which `slow` are beyond the last bound."""
    return (float(requests - requests // 5), float(requests - slow), float(requests))


def counted(blocks: Blocks) -> list[Counters]:
    """The counters of one instance before and after each block of (requests, errors)."""
    requests = accumulate((requests for requests, _ in blocks), initial=0)
    errors = accumulate((errors for _, errors in blocks), initial=0)
    return [
        Counters(total, failed, started=OLD, buckets=latency(total))
        for total, failed in zip(requests, errors, strict=True)
    ]


def snapshots(canary: Blocks, stable: Blocks, *, instances: int = 3, share: float = 0.5) -> Iterator[Snapshot]:
    """A snapshot each 10 s; each block of stable is what every one of its instances counted."""
    for step, (own, other) in enumerate(zip(counted(canary), counted(stable), strict=True)):
        peers = {f"stable-{number}": other for number in range(instances)}
        yield Snapshot(10.0 * step, share, {"canary-0": own}, peers, BOUNDS)


def judgements(judge: Judge, stream: Iterator[Snapshot]) -> list[Judgement]:
    return [judge.observe(snapshot) for snapshot in stream]
