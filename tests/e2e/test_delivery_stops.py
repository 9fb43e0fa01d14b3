"""A canary that is stopped at the terminal: rolled back, on record, its run Cancelled, nothing left."""

import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from tasks.core.records import Ending, Kind
from tests.e2e.delivery_stage import LONG_WATCH, Delivered, asking, configured, measured, setting, when_ended, words_of
from tests.e2e.stage import Started, is_alive, until

pytest_plugins = ["tests.e2e.delivery_fixtures"]
pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

PER_SECOND = 80.0
GONE_SECONDS = 10.0
SLOW_START = "4"


def to_the_group(started: Started) -> None:
    """Ctrl-C, as a terminal does it."""
    os.killpg(started.process.pid, signal.SIGINT)


def to_the_process(started: Started) -> None:
    started.process.terminate()


def family_of(delivered: Delivered, started: Started) -> list[psutil.Process]:
    """The command and what it started, without the server and the keepers, which stay."""
    command = psutil.Process(started.process.pid)
    stays = delivered.stage.is_server
    return [command, *(child for child in command.children(recursive=True) if not stays(child))]


def begin(delivered: Delivered, state: str) -> Started:
    words = configured(LABEL=f"stopped-{time.monotonic_ns()}", START_SECONDS=SLOW_START)
    if state == "asking":
        canary = delivered.start_canary(*words, *asking())
        delivered.when_asking(canary)
        return canary
    canary = delivered.start_canary(*words, *LONG_WATCH)
    (delivered.when_placing if state == "placing" else delivered.when_watching)(canary)
    return canary


@pytest.mark.parametrize("stop", [to_the_group, to_the_process], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("state", ["placing", "watching", "asking"])
def test_stopped(production: Delivered, state: str, stop: Callable[[Started], None]) -> None:
    """Within seconds the traffic is whole; exit code 130, a record that says so, the run Cancelled, nothing left."""
    before = production.status().stable
    with production.load(per_second=PER_SECOND) as visitors:
        canary = begin(production, state)
        family = family_of(production, canary)
        intent = production.intent()
        assert intent is not None, "a canary has promised"
        since = time.monotonic()
        stop(canary)
        until(lambda: production.wanted().candidate_percent == 0, seconds=GONE_SECONDS, what="no traffic for it")
        unloaded = time.monotonic() - since
        code = when_ended(canary, seconds=GONE_SECONDS)
        measured(f"{state}: no traffic after {unloaded:.2f} s, over after {time.monotonic() - since:.2f} s")

    record = production.records()[-1]
    assert (code, record.kind, record.ending) == (130, Kind.CANARY, Ending.ROLLED_BACK)
    assert (record.reason, record.run) == ("the run was stopped", intent.run)
    assert production.stage.state_of(intent.run) == ("CANCELLED", "Cancelled")
    assert "Traceback" not in words_of(canary)
    assert not any(map(is_alive, family))
    production.when_over(seconds=5)
    assert production.status().stable == before
    assert visitors.tally().failed == 0


def test_stopped_deploy(production: Delivered) -> None:
    """A production deploy that is stopped in the middle leaves production as it was."""
    before = production.status().stable
    words = configured(LABEL="stopped-deploy")
    deploy = production.start("production", "v1.0.0", *words, *setting("verification.settle_seconds", "60"))
    until(lambda: production.wanted().candidate_percent == 100, seconds=60, what="all traffic for the new release")
    to_the_group(deploy)
    code = when_ended(deploy, seconds=GONE_SECONDS)

    record = production.records()[-1]
    assert (code, record.kind, record.ending) == (130, Kind.PRODUCTION, Ending.ROLLED_BACK)
    production.when_over(seconds=5)
    assert production.status().stable == before


def test_stopped_twice(production: Delivered) -> None:
    """Somebody who presses Ctrl-C again and again does not leave a canary behind either."""
    canary = production.start_canary(*configured(LABEL="twice"), *LONG_WATCH)
    production.when_watching(canary)
    to_the_group(canary)
    until(lambda: production.wanted().candidate_percent == 0, seconds=GONE_SECONDS, what="no traffic for it")

    def press_again() -> bool:
        is_over = canary.process.poll() is not None
        if not is_over:
            to_the_group(canary)
        return is_over

    until(press_again, seconds=GONE_SECONDS, what="the end of the command")
    production.when_over()
    assert production.records()[-1].ending is Ending.ROLLED_BACK
