"""One change at a time: the second is told who is there and leaves, or waits; a person's hold keeps all of them out."""

import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from tasks.adapters import permits
from tasks.adapters.daemons import birth_of
from tasks.adapters.permits import Holder
from tasks.core.records import Ending
from tests.e2e.delivery_stage import LONG_WATCH, Delivered, configured, setting, when_ended, words_of
from tests.e2e.stage import Said, Started, until

pytest_plugins = ["tests.e2e.delivery_fixtures"]
pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


@pytest.fixture
def canary(production: Delivered) -> Iterator[Started]:
    """Ann's canary, which is watched for as long as the test lasts."""
    started = production.start_canary(*configured(LABEL="ann's"), *LONG_WATCH)
    production.when_watching(started)
    yield started
    intent = production.intent()
    if intent is not None:
        production.stage.towpath("reject", intent.run, "--by", "the test")
        when_ended(started)


def then_refused(said: Said, *reasons: str) -> None:
    """Exit code 1, and one line with all of the reasons."""
    assert said.exit_code == 1, said
    (line,) = said.errors.splitlines()
    assert [reason for reason in reasons if reason not in line] == []


def test_second(production: Delivered, canary: Started) -> None:
    """Beside a canary neither a canary nor a deploy nor a rollback may begin; each is told who is there, and why."""
    records, wanted = production.records(), production.wanted()
    who = ("production is being changed by Ann", "canary of v1.0.0")

    then_refused(production.canary(*configured(LABEL="another")), *who)
    then_refused(production.run("production", "v1.0.0", *configured(LABEL="another")), *who)
    then_refused(production.rollback("1"), *who)
    assert (production.records(), production.wanted()) == (records, wanted)
    assert canary.process.poll() is None


def test_waits(production: Delivered, canary: Started) -> None:
    """With --wait the second goes on as soon as the first is over."""
    deploy = production.start("production", "v1.0.0", *configured(LABEL="patient"), "--wait", "60", "--by", "Bob")
    intent = production.intent()
    assert intent is not None, "Ann's canary has promised"
    until(lambda: "run http" in words_of(deploy), seconds=60, what="the beginning of the deploy")
    until(lambda: len(live_runs(production)) == 2, what="two live runs")
    assert production.stage.towpath("reject", intent.run, "--by", "Ann").exit_code == 0

    assert (when_ended(canary), when_ended(deploy)) == (1, 0)
    first, second = production.records()[-2:]
    assert [(each.who, each.ending) for each in (first, second)] == [
        ("Ann", Ending.ROLLED_BACK),
        ("Bob", Ending.RELEASED),
    ]


def live_runs(delivered: Delivered) -> list[str]:
    return [path.name for path in (delivered.stage.home / "live").glob("*")]


def test_hold(production: Delivered) -> None:
    """`towpath lock` keeps new changes out and says why; `towpath unlock` lets them in."""
    where = ("production", "--target", production.target)
    stage = production.stage
    locked = stage.towpath("lock", *where, "--reason", "an incident", "--by", "Olga")
    again = stage.towpath("lock", *where, "--reason", "me too")
    kept_out = production.canary(*configured(LABEL="kept-out"))
    status = stage.towpath("status", *where).output
    unlocked = stage.towpath("unlock", *where, "--reason", "over")
    twice = stage.towpath("unlock", *where, "--reason", "over")
    records = len(production.records())
    let_in = production.rollback(str(last_released(production)))

    assert (locked.exit_code, again.exit_code, unlocked.exit_code, twice.exit_code) == (0, 1, 0, 1)
    then_refused(kept_out, "production is held by Olga", "an incident", "towpath unlock production --reason")
    assert "held        by Olga" in status
    assert (let_in.exit_code, len(production.records())) == (0, records + 1)


def last_released(delivered: Delivered) -> int:
    return next(each.number for each in reversed(delivered.records()) if each.ending is Ending.RELEASED)


def test_hold_under_way(production: Delivered, canary: Started) -> None:
    """A hold does not stop what is under way, and says that it does not."""
    where = ("production", "--target", production.target)
    said = production.stage.towpath("lock", *where, "--reason", "an incident")
    try:
        assert said.exit_code == 0
        assert "under way and not stopped by this: Ann" in said.output
        assert canary.process.poll() is None
    finally:
        production.stage.towpath("unlock", *where, "--reason", "over")


def test_dead_holder(production: Delivered) -> None:
    """The lock of a holder that died without promising anything is taken over."""
    dead = subprocess.Popen(["sleep", "600"])
    birth = birth_of(dead.pid)
    dead.kill()
    dead.wait()
    holder = Holder("a token", "Zoe", "a canary", "run-1", dead.pid, birth, time.time())
    permits.take(production.ground.folder, "production", holder)
    said = production.rollback(str(last_released(production)))

    assert said.exit_code == 0, said.errors


def test_reused_process_id(production: Delivered) -> None:
    """A living process that got the number of the dead holder is not taken for it."""
    holder = Holder("a token", "Zoe", "a canary", "run-1", os.getpid(), "another birth", time.time())
    permits.take(production.ground.folder, "production", holder)

    assert production.rollback(str(last_released(production))).exit_code == 0


def test_freeze(production: Delivered) -> None:
    """In a freeze window nothing new begins, and the window and its reason are told."""
    freeze = setting("freezes", '[{start="Mon 00:00", end="Mon 00:00", reason="stocktaking"}]')
    records = production.records()

    then_refused(production.canary(*configured(LABEL="frozen"), *freeze), "production is frozen", "stocktaking")
    then_refused(production.run("production", "v1.0.0", *configured(LABEL="frozen"), *freeze), "production is frozen")
    assert production.records() == records
