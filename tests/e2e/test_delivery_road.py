"""The road of a release under load: canary, approval, promotion, rollback, and not a request lost by a good one."""

import json
import time

import pytest

from tasks.core.records import Ending, Kind, Record
from tests.e2e.delivery_stage import (
    Delivered,
    asking,
    configured,
    measured,
    when_ended,
    words_of,
)
from tests.e2e.stage import until

pytest_plugins = ["tests.e2e.delivery_fixtures"]
pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

PER_SECOND = 200.0


def then_told(delivered: Delivered, record: Record) -> None:
    """Show, history and status say what the record says."""
    where = ("--target", delivered.target)
    stage, ended = delivered.stage, record.ending
    shown = stage.towpath("show", str(record.number), *where)
    as_json = stage.towpath("show", str(record.number), "--json", *where)
    history = stage.towpath("history", "production", *where).output.splitlines()
    status = stage.towpath("status", "production", *where).output

    assert record.reason in shown.output
    assert json.loads(as_json.output) == json.loads(record.model_dump_json())
    assert history[-1].split()[0] == str(record.number)
    assert f" {ended} " in history[-1]
    if record.ending is Ending.RELEASED:
        assert f"stable      100 %  {record.release.version}  {record.release.digest}" in status


def test_first_releases(delivered_target: Delivered) -> None:
    """What CI passed went to staging, and what was in staging to production; both records say by what right."""
    staging, production = delivered_target.inside("staging").records()[0], delivered_target.records()[0]

    assert (staging.kind, staging.ending) == (Kind.CD, Ending.RELEASED)
    assert [(gate.name, gate.verdict.value) for gate in staging.gates] == [("ci", "passed")]
    assert (production.kind, production.ending) == (Kind.PRODUCTION, Ending.RELEASED)
    assert [(gate.name, gate.verdict.value) for gate in production.gates] == [("released to staging", "passed")]
    assert staging.release.artifact == production.release.artifact


def test_good_canary(production: Delivered) -> None:
    """A good canary that is approved takes over, and is gone back from, without one failed request of 200 a second."""
    before = production.status().stable
    with production.load(per_second=PER_SECOND) as visitors:
        canary = production.start_canary(*configured(LABEL="good"), *asking(), "--reason", "more colours")
        run = production.when_asking(canary)
        status = production.stage.towpath("status").output
        approved = production.approve(run[:8], "--by", "Bob", "--reason", "looks fine")
        code = when_ended(canary)
        promoted = production.records()[-1]
        then_told(production, promoted)
        rolled = production.rollback("--by", "Eve", "--reason", "a drill")
    tally = visitors.tally()
    measured(f"good canary and rollback at {PER_SECOND:g} requests/s: {tally}")

    assert (approved.exit_code, code, rolled.exit_code) == (0, 0, 0), words_of(canary) + rolled.errors
    assert f"waits       run {run}: Promote v1.0.0 to all of production?" in status
    assert (promoted.kind, promoted.ending, promoted.who, promoted.why) == (
        Kind.CANARY,
        Ending.RELEASED,
        "Ann",
        "more colours",
    )
    assert promoted.reason == "approved by Bob"
    assert promoted.evidence["verdict"] == "pass"
    back = production.records()[-1]
    assert (back.kind, back.ending, back.who, back.replaced) == (
        Kind.ROLLBACK,
        Ending.RELEASED,
        "Eve",
        promoted.release.digest,
    )
    then_told(production, back)
    assert production.status().stable == before
    assert (tally.failed, set(tally.by_status)) == (0, {"200"})


def test_bad_canary(production: Delivered) -> None:
    """Of a bad canary, the requests that failed are those that it failed itself, and no more."""
    before, records = production.status().stable, len(production.records())
    with production.load(per_second=PER_SECOND) as visitors:
        began = time.monotonic()
        said = production.canary(*configured(LABEL="bad", FAIL_PERCENT="20"))
        seconds = time.monotonic() - began
        until(lambda: production.counts("bad"), seconds=10, what="the counts of the candidate that went")
    tally, counted = visitors.tally(), production.counts("bad")
    measured(f"bad canary, {seconds:.1f} s in all: {tally}; it counted {counted}")

    record = production.records()[-1]
    assert (said.exit_code, record.ending, len(production.records())) == (1, Ending.ROLLED_BACK, records + 1)
    assert record.evidence["verdict"] == "fail"
    then_told(production, record)
    assert production.status().stable == before
    assert tally.unanswered == {}
    assert tally.failed == sum(each["errors"] for each in counted) > 0


def replayed(delivered: Delivered, *rules: str) -> list[tuple[str, str, str]]:
    """Of the last two canaries: what happened, what the rules would have decided, and whether that is the same way."""
    words = [word for rule in rules for word in ("--set", rule)]
    said = delivered.stage.towpath(
        "replay", "production", "--target", delivered.target, "--plain", "--newest", "2", *words
    )
    assert said.exit_code == 0, said.errors
    tables = [line.partition("|")[2] for line in said.output.splitlines() if " beside " in line]
    measured("\n".join(tables))
    rows = [[cell.partition(" after ")[0].strip() for cell in table.split("|")] for table in tables]
    return [(row[2], row[3], row[4]) for row in rows]


def test_replay(production: Delivered) -> None:
    """Replay judges recorded canaries again: by their own rules as they went, by others as those would have had it."""
    with production.load(per_second=PER_SECOND):
        good = production.canary(*configured(LABEL="good-again"))
        bad = production.canary(*configured(LABEL="bad-again", FAIL_PERCENT="20"))
    wrong = production.stage.towpath("replay", "production", "--target", production.target, "--set", "judge.colour=1")

    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert replayed(production) == [("promoted", "pass", "yes"), ("rolled-back", "roll back", "yes")]
    assert replayed(production, "judge.min_requests=100000") == [
        ("promoted", "undecided", "no"),
        ("rolled-back", "roll back", "yes"),
    ]
    assert replayed(production, "judge.error_absolute=0.5") == [
        ("promoted", "pass", "yes"),
        ("rolled-back", "undecided", "no"),
    ]
    assert wrong.exit_code == 2
    assert "colour" in wrong.errors
