"""What of a canary's surroundings dies, and when: the traffic is whole again, and nothing is left of what was begun.

By default a choice of deaths; TOWPATH_CHAOS=full dies every death in every state that lasts.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tasks.core.records import Ending, Kind
from tests.e2e.delivery_stage import (
    LONG_WATCH,
    WHOLE_SECONDS,
    Delivered,
    asking,
    configured,
    measured,
    when_ended,
    words_of,
)
from tests.e2e.stage import Started, is_alive, until

pytest_plugins = ["tests.e2e.delivery_fixtures"]
pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

PER_SECOND = 60.0
SLOW_START = "3"
STATES = ("placing", "watching", "asking", "scaling", "promoting")
CHOSEN = [
    ("flow", "placing"),
    ("flow", "watching"),
    ("flow", "asking"),
    ("flow", "scaling"),
    ("worker", "watching"),
    ("server", "watching"),
    ("server", "scaling"),
    ("supervisor", "watching"),
    ("guard", "asking"),
]
EVERY = [(victim, state) for victim in ("flow", "worker", "server", "supervisor", "guard") for state in STATES]
CASES = EVERY if os.environ.get("TOWPATH_CHAOS") == "full" else CHOSEN


@pytest.fixture
def up(production: Delivered) -> Iterator[Delivered]:
    """Server, worker, supervisor and guard all run, whatever died before."""
    said = production.stage.towpath("up")
    assert said.exit_code == 0, said.errors
    yield production
    production.stage.towpath("up")


@dataclass(frozen=True)
class UnderWay:
    """A canary on its way, begun at the terminal or, when `started` is None, by the worker."""

    delivered: Delivered
    label: str
    started: Started | None

    def reach(self, state: str) -> None:
        match state:
            case "placing":
                self.delivered.when_placing(self.started)
            case "watching":
                self.delivered.when_watching(self.started)
            case "asking":
                self.delivered.when_asking(self.started)
            case "scaling":
                self.delivered.when_scaling(self.started)
            case _:
                until(self._has_all, seconds=90, what="all of the traffic")

    def _has_all(self) -> bool:
        return self.delivered.wanted().candidate_percent == 100 or self.is_stable()

    def is_stable(self) -> bool:
        stable = self.delivered.wanted().stable
        return stable is not None and stable.release.configuration["web"].get("LABEL") == self.label


def begin(delivered: Delivered, victim: str, state: str) -> UnderWay:
    label = f"{victim}-{state}-{time.monotonic_ns()}"
    words = (*configured(LABEL=label, START_SECONDS=SLOW_START), *asking(1 if state == "asking" else 0))
    if victim == "worker":
        delivered.submit("canary", ref="v1.0.0", who="Ann", overrides=[word for word in words if word != "--set"])
        return UnderWay(delivered, label, None)
    return UnderWay(delivered, label, delivered.start_canary(*words))


def process_of(under_way: UnderWay, victim: str) -> psutil.Process:
    if victim == "flow":
        assert under_way.started is not None, "only a flow at the terminal is killed by itself"
        return psutil.Process(under_way.started.process.pid)
    home = under_way.delivered.stage.home
    folder = home / ("server" if victim in ("server", "worker") else "keepers")
    recorded = psutil.Process(_recorded_pid(folder / f"{victim}.json"))
    # The worker's own supervisor is recorded, which ends whatever a dead worker leaves.
    return recorded.children()[0] if victim == "worker" else recorded


def _recorded_pid(record: Path) -> int:
    return int(json.loads(record.read_text())["pid"])


def kill(process: psutil.Process) -> float:
    since = time.monotonic()
    process.kill()
    until(lambda: not is_alive(process), what="its death")
    return since


def then_undone_by_guard(under_way: UnderWay, since: float) -> None:
    """Candidate gone in time, one record that says why, the flow run crashed, an approval refused with the reason."""
    delivered = under_way.delivered
    intent = delivered.intent()
    assert intent is not None, "nothing was promised when it died"
    delivered.when_over(seconds=WHOLE_SECONDS)
    measured(f"whole again {time.monotonic() - since:.1f} s after the death")
    last = delivered.records()[-1]
    assert (last.kind, last.ending, last.run) == (Kind.GUARD, Ending.ROLLED_BACK, intent.run)
    assert "no sign of life" in last.reason
    assert [each.run for each in delivered.records()].count(intent.run) == 1
    until(lambda: delivered.stage.state_of(intent.run)[0] == "CRASHED", seconds=20, what="a flow run that crashed")
    late = delivered.approve(intent.run, "--by", "Bob")
    assert late.exit_code == 1
    assert f"record {last.number}: rolled-back: {last.reason}" in late.errors


def then_carried_on(under_way: UnderWay, victim: str, state: str) -> None:
    """The canary is watched to its end, and ends as it should."""
    delivered, started = under_way.delivered, under_way.started
    assert started is not None, "a canary at the terminal"
    if state == "asking" and victim != "server":
        pending = delivered.pending()
        assert pending is not None, "the question is still open"
        assert delivered.approve(pending.pending.request.run, "--by", "Bob").exit_code == 0
    # Prefect asks a server that is gone again for a minute before it gives up a question.
    code = when_ended(started, seconds=150)
    delivered.when_over()
    last = delivered.records()[-1]
    measured(f"{victim} in {state}: exit code {code}, {last.ending}: {last.reason}")
    assert (code, last.ending, under_way.is_stable()) in {
        (0, Ending.RELEASED, True),
        (1, Ending.ROLLED_BACK, False),
    }
    # Without a server nobody can be asked; everything else goes on as if nothing had happened.
    expected = Ending.ROLLED_BACK if (victim, state) == ("server", "asking") else Ending.RELEASED
    assert last.ending is expected


def then_revived(delivered: Delivered, name: str, dead: psutil.Process) -> None:
    record = delivered.stage.home / "keepers" / f"{name}.json"

    def is_back() -> bool:
        with suppress(psutil.Error):
            return psutil.Process(_recorded_pid(record)) != dead
        return False

    until(is_back, seconds=WHOLE_SECONDS, what=f"another {name}")


@pytest.mark.parametrize(("victim", "state"), [pytest.param(*case, id="-".join(case)) for case in CASES])
def test_death(up: Delivered, victim: str, state: str) -> None:
    """Whatever is killed with -9 while a canary has its traffic: no request is lost, and all is whole within 30 s."""
    with up.load(per_second=PER_SECOND) as visitors:
        under_way = begin(up, victim, state)
        under_way.reach(state)
        process = process_of(under_way, victim)
        since = kill(process)
        if victim in ("flow", "worker"):
            then_over(under_way, state, since)
        else:
            then_carried_on(under_way, victim, state)
        if victim in ("supervisor", "guard"):
            then_revived(up, victim, process)
    tally = visitors.tally()
    measured(f"{victim} killed in {state}: {tally.requests} requests, {tally.failed} failed")
    assert tally.failed == 0


def test_frozen(up: Delivered) -> None:
    """A flow that freezes and wakes up after the guard has undone its canary changes nothing, and says what became."""
    with up.load(per_second=PER_SECOND) as visitors:
        canary = up.start_canary(*configured(LABEL="frozen"), *LONG_WATCH)
        up.when_watching(canary)
        before, intent = up.status().stable, up.intent()
        assert intent is not None, "a canary has promised"
        canary.process.send_signal(signal.SIGSTOP)
        until(lambda: up.intent() is None, seconds=WHOLE_SECONDS, what="the guard's turn")
        undone = up.wanted()
        canary.process.send_signal(signal.SIGCONT)
        code = when_ended(canary, seconds=WHOLE_SECONDS)

    up.when_over(seconds=5)
    assert (code, up.wanted(), up.status().stable) == (3, undone, before)
    assert [each.kind for each in up.records() if each.run == intent.run] == [Kind.GUARD]
    assert "the guard has undone the canary" in words_of(canary).splitlines()[-1]
    assert visitors.tally().failed == 0


def then_over(under_way: UnderWay, state: str, since: float) -> None:
    """A canary that died on the last step may have been promoted already; it is one thing or the other."""
    if state != "promoting" or not under_way.is_stable():
        then_undone_by_guard(under_way, since)
        return
    under_way.delivered.when_over(seconds=WHOLE_SECONDS)
    assert under_way.delivered.records()[-1].ending is Ending.RELEASED
