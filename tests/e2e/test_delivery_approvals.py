"""Answers that count and answers that do not, given at the command line and the way the Prefect UI gives them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tasks.adapters.approvals import Pending
from tasks.adapters.flow_runs import api_of
from tasks.core.records import Ending
from tests.core.github_events import comment
from tests.deployments.door import open_door
from tests.e2e.delivery_stage import LONG_WATCH, Delivered, asking, configured, setting, when_ended, words_of
from tests.e2e.stage import until

pytest_plugins = ["tests.e2e.delivery_fixtures"]
pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

PER_SECOND = 80.0
OTHER = "sha256:" + "0" * 64


def pending_of(delivered: Delivered) -> Pending:
    found = delivered.pending()
    assert found is not None, "the question is not open"
    return found.pending


def resume(delivered: Delivered, run: str, form: Mapping[str, str] | None) -> dict[str, Any]:
    """What the server says when the form is sent as the UI sends it; None is the button without the form."""
    body: dict[str, Any] = {} if form is None else {"run_input": dict(form)}

    def attempt() -> dict[str, Any] | None:
        answer = delivered.stage.ask(f"/flow_runs/{run}/resume", body)
        return None if answer.status_code == 503 else answer.json()

    return until(attempt, what="an answer of the server")


def then_open(delivered: Delivered, run: str, *, answers: int) -> None:
    """The question still waits, with so many answers that counted, and the canary has its traffic."""
    until(lambda: delivered.stage.state_of(run)[0] == "PAUSED", seconds=20, what="a run that waits on")
    assert len(pending_of(delivered).answers) == answers
    assert delivered.wanted().candidate_percent == 50


def test_two_of_two(production: Delivered) -> None:
    """Each answer that does not count is refused with its reason and leaves the question open; two people grant it."""
    author = "A"  # As git says of the target's only commit.
    wanted = (*asking(2), *setting("approvals.may_author_approve", "false"))
    with production.load(per_second=PER_SECOND):
        canary = production.start_canary(*configured(LABEL="two-of-two"), *wanted)
        run = production.when_asking(canary)
        assert pending_of(production).request.author == author
        refused = {
            "authors may not approve": production.approve(run, "--by", author),
            "the answer is for sha256:00000": production.approve(run, "--by", "Bob", "--digest", OTHER),
            "needs a name": production.approve(run, "--by", "  "),
        }
        then_open(production, run, answers=0)
        first = production.approve(run, "--by", "Bob", "--reason", "read the numbers")
        until(lambda: len(pending_of(production).answers) == 1, what="the first answer on disk")
        refused["has approved already"] = production.approve(run, "--by", " bob ")
        then_open(production, run, answers=1)
        second = production.approve(run, "--by", "Carol")
        code = when_ended(canary)

    for reason, said in refused.items():
        assert (said.exit_code, reason in said.errors) == (1, True), f"{reason}: {said}"
        assert len(said.errors.splitlines()) == 1
    assert (first.exit_code, first.output) == (0, "heard; 1 more approval(s) needed, each by another name\n")
    assert (second.exit_code, code) == (0, 0)
    record = production.records()[-1]
    assert record.ending is Ending.RELEASED
    assert [(each.by, each.reason) for each in record.approvals] == [
        ("Bob", "read the numbers"),
        ("Carol", "none given"),
    ]
    assert all(not each.is_proved and each.digest == record.release.digest for each in record.approvals)


def test_ui(production: Delivered) -> None:
    """The UI's form is judged by the same rules: no input, a missing field, another release or nobody: not approved."""
    with production.load(per_second=PER_SECOND):
        words = (*configured(LABEL="by-form"), *asking(), *setting("approvals.approvers", '["Bob"]'))
        canary = production.start_canary(*words)
        run = production.when_asking(canary)
        digest = pending_of(production).request.digest
        good = {"decision": "approve", "by": "Bob", "reason": "seen", "digest": digest}
        bad: dict[str, dict[str, str] | None] = {
            "no input": None,
            "nothing filled in": {},
            **{f"without {name}": {key: value for key, value in good.items() if key != name} for name in good},
            "another release": good | {"digest": OTHER},
            "another word": good | {"decision": "perhaps"},
        }
        for name, form in bad.items():
            said = resume(production, run, form)
            assert said["status"] == "REJECT", f"{name}: {said}"
            then_open(production, run, answers=0)
        stranger = resume(production, run, good | {"by": "Mallory"})
        until(lambda: bool(pending_of(production).refused), what="the refused answer on disk")
        then_open(production, run, answers=0)
        reasons = pending_of(production).refused
        accepted = resume(production, run, good)
        code = when_ended(canary)

    assert (stranger["status"], accepted["status"], code) == ("ACCEPT", "ACCEPT", 0)
    assert reasons == ("Mallory: Mallory is not among the approvers of production: Bob",)
    record = production.records()[-1]
    assert [each.by for each in record.approvals] == ["Bob"]
    assert record.evidence["answers that did not count"] == reasons[0]


def test_expired(production: Delivered) -> None:
    """Nobody answers in time: taken back by itself, and an answer afterwards is refused with that reason."""
    with production.load(per_second=PER_SECOND):
        words = (*configured(LABEL="expired"), *asking(), *setting("approvals.expires_seconds", "4"))
        canary = production.start_canary(*words)
        run = production.when_asking(canary)
        code = when_ended(canary)
    late = production.approve(run, "--by", "Bob")
    by_form = resume(production, run, {"decision": "approve", "by": "Bob", "reason": "", "digest": OTHER})

    then_rolled_back(production, code, "nobody approved it within 4 s")
    assert late.exit_code == 1
    assert "is over" in late.errors
    assert "nobody approved it within 4 s" in late.errors
    assert by_form["status"] in ("ABORT", "REJECT")
    assert production.stage.state_of(run)[0] == "FAILED"


def test_rejected(production: Delivered) -> None:
    """One person who rejects is enough: it is taken back, and the record says who and why."""
    with production.load(per_second=PER_SECOND):
        canary = production.start_canary(*configured(LABEL="rejected"), *asking(2))
        run = production.when_asking(canary)
        said = production.stage.towpath("reject", run[:8], "--by", "Bob", "--reason", "wrong colour")
        code = when_ended(canary)

    assert said.exit_code == 0
    then_rolled_back(production, code, "rejected by Bob: wrong colour")


def test_rejected_while_watched(production: Delivered) -> None:
    """A canary that nobody is asked about yet can be rejected as well."""
    canary = production.start_canary(*configured(LABEL="rejected-early"), *LONG_WATCH)
    production.when_watching(canary)
    intent = production.intent()
    assert intent is not None, "a canary has promised"
    early = production.approve(intent.run, "--by", "Bob")
    said = production.stage.towpath("reject", intent.run, "--by", "Bob", "--reason", "wrong day")
    code = when_ended(canary)

    assert (early.exit_code, said.exit_code) == (1, 0)
    assert "does not wait for an approval now" in early.errors
    then_rolled_back(production, code, "Bob asked for it: wrong day")


def test_turns_bad(production: Delivered, tmp_path: Path) -> None:
    """A canary that turns bad while it waits is taken back at once, and its run waits no more."""
    bad = tmp_path / "bad"
    with production.load(per_second=PER_SECOND):
        canary = production.start_canary(*configured(LABEL="turns-bad", FAIL_WHILE=str(bad)), *asking())
        run = production.when_asking(canary)
        bad.touch()
        until(lambda: production.wanted().candidate_percent == 0, seconds=20, what="no traffic for the candidate")
        code = when_ended(canary)
    late = production.approve(run, "--by", "Bob")

    then_rolled_back(production, code, "turned bad while it waited for approval")
    assert late.exit_code == 1
    assert "turned bad while it waited for approval" in late.errors
    assert production.stage.state_of(run)[0] == "FAILED"


def then_rolled_back(delivered: Delivered, code: int, why: str) -> None:
    record = delivered.records()[-1]
    assert (code, record.ending) == (1, Ending.ROLLED_BACK)
    assert why in record.reason
    delivered.when_over(seconds=5)


def test_unknown_run(production: Delivered) -> None:
    """An answer to a run that does not wait, or never was, is a word that cannot be used."""
    said = production.approve("ffffffff", "--by", "Bob")

    assert said.exit_code == 2
    assert "no run ffffffff waits for an approval" in said.errors


def test_production_asks(production: Delivered) -> None:
    """Production asks before it touches anything: nothing is locked meanwhile, and a rejection leaves all as it was."""
    before, records = production.status(), production.records()
    words = (*configured(LABEL="asked-first"), *asking())
    deploy = production.start("production", "v1.0.0", *words)
    run = production.when_asking(deploy)
    locks = production.left_behind()
    said = production.stage.towpath("reject", run, "--by", "Bob", "--reason", "not on Fridays")
    code = when_ended(deploy)

    assert (said.exit_code, code) == (0, 1)
    assert locks == [f"{run}.json"]
    assert "rejected by Bob: not on Fridays" in words_of(deploy)
    after = production.status()
    assert (after.stable, after.candidate, production.records()) == (before.stable, None, records)


def test_signed(production: Delivered) -> None:
    """Where proof is needed a name that is claimed does not count, a signed comment does, and the record says so."""
    wanted = (*asking(), *setting("approvals.require_proof", "true"))
    settings = f'[repositories."acme/shop"]\ntarget = "{production.repository}"\n'
    with production.load(per_second=PER_SECOND):
        canary = production.start_canary(*configured(LABEL="signed"), *wanted)
        run = production.when_asking(canary)
        claimed = production.approve(run, "--by", "ada")
        with open_door(production.stage.home, api=api_of(production.stage.home), settings=settings) as door:
            door.post(comment(f"/towpath approve {run} read it"), "signed-00001", "issue_comment")
            code = when_ended(canary)
            shown = door.towpath("deliveries", "show", "signed-00001").stdout

    assert (claimed.exit_code, "takes proved ones" in claimed.errors) == (1, True)
    assert code == 0, shown
    assert "(name proved)" in shown
    record = production.records()[-1]
    assert [(each.by, each.is_proved) for each in record.approvals] == [("ada", True)]
