"""What each delivery of GitHub's means, by tables, and what no delivery may ever mean."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.approval import Decision
from tasks.core.door_commands import Allow, Answering, Rerun, StartCanary
from tasks.core.door_settings import DoorSettings, RepositorySettings
from tasks.core.events import Command, Ignored, Refused, Trigger, Unknown, route
from tasks.core.payloads import PayloadRefused
from tests.core.github_events import (
    HEAD,
    OTHER,
    REPOSITORY,
    check_run,
    comment,
    merge_group,
    payload,
    person,
    pull_request,
    push,
    review,
)

SETTINGS = DoorSettings(
    repositories={"Acme/Shop": RepositorySettings()}, commanders=("outsider", "grace"), associations=("OWNER", "MEMBER")
)
TARGET = "https://forge.test/acme/shop.git"
ALL = ["pr-checks", "ci", "security"]
BOT = person("towpath[bot]", type_="Bot")


def triggered(event: str, sent: Any) -> Trigger:
    found = route(event, sent, SETTINGS)
    assert isinstance(found, Trigger)
    return found


@pytest.mark.parametrize(
    ("event", "sent", "deployments"),
    [
        pytest.param("push", push(), ["ci", "security"], id="branch"),
        pytest.param("push", push("refs/heads/main"), ["ci", "security", "cd"], id="default branch"),
        pytest.param("push", push(sender=BOT), ["ci", "security"], id="a program's branch is tested too"),
        pytest.param("push", push("refs/tags/v1.2.0"), ["production"], id="version"),
        pytest.param("push", push("refs/tags/v1.2.0", message="x [skip ci]"), ["production"], id="version of skipped"),
        pytest.param("pull_request", pull_request("opened"), ALL, id="opened"),
        pytest.param("pull_request", pull_request("synchronize"), ALL, id="pushed to"),
        pytest.param("pull_request", pull_request("reopened"), ALL, id="reopened"),
        pytest.param("pull_request", pull_request("edited"), ["pr-checks"], id="edited"),
        pytest.param("pull_request", pull_request("edited", changes={"base": {}}), ALL, id="another base"),
        pytest.param("pull_request", pull_request("labeled"), ["pr-checks"], id="labelled"),
        pytest.param("pull_request", pull_request("opened", sender=BOT), ALL, id="opened by a program"),
        pytest.param("pull_request", pull_request(title="x [skip ci]"), ALL, id="a title skips no gate"),
        pytest.param("merge_group", merge_group(), ["ci", "security"], id="merge queue"),
    ],
)
def test_what_starts_runs(event: str, sent: Any, deployments: list[str]) -> None:
    """Each event starts the runs it is for, of the repository's own address and of the commit it names."""
    starts = triggered(event, sent).runs

    assert deployments == [start.deployment for start in starts]
    assert {TARGET} == {start.parameters["target"] for start in starts}
    assert {HEAD} == {start.origin.commit for start in starts}


def test_our_own_labels() -> None:
    """A label set with our token starts nothing, also where that is a person's; what else that person does is heard."""
    ours, theirs = (pull_request("labeled", sender=person(name)) for name in ("Ada", "grace"))
    found = route("pull_request", ours, SETTINGS, own_login="ada")

    assert isinstance(found, Ignored)
    assert "Ada is who sets our labels" in found.reason
    assert isinstance(route("pull_request", theirs, SETTINGS, own_login="ada"), Trigger)
    assert isinstance(route("pull_request", ours, SETTINGS), Trigger)
    assert isinstance(route("pull_request", pull_request("edited"), SETTINGS, own_login="ada"), Trigger)


@pytest.mark.parametrize(
    ("event", "sent", "reason"),
    [
        pytest.param("ping", {"zen": "Keep it logically awesome."}, "ping", id="ping, without a repository"),
        pytest.param("push", push(commit="0" * 40), "deleted", id="branch deleted"),
        pytest.param("push", push("refs/tags/v1", deleted=True), "deleted", id="tag deleted"),
        pytest.param("push", push("refs/tags/latest"), "no version", id="other tag"),
        pytest.param("push", push("refs/tags/vendored"), "no version", id="tag that begins with v"),
        pytest.param("push", push("refs/notes/commits"), "neither branch nor tag", id="notes"),
        pytest.param("push", push(message="docs [Skip CI]"), "skip", id="skip"),
        pytest.param("push", push("refs/heads/main", message="[ci skip]"), "skip", id="skip on the default branch"),
        pytest.param("push", push("refs/heads/gh-readonly-queue/main/pr-7"), "merge queue", id="queue's branch"),
        pytest.param("pull_request", pull_request("closed"), "closed", id="closed"),
        pytest.param("pull_request", pull_request("labeled", sender=BOT), "never end", id="our own label"),
        pytest.param("pull_request", pull_request("edited", sender=BOT), "never end", id="edited by a program"),
        pytest.param("issue_comment", comment("nice"), "without a command", id="talk"),
        pytest.param("issue_comment", comment("> /towpath ok x"), "without a command", id="quoted"),
        pytest.param("issue_comment", comment("```\n/towpath canary start\n```"), "without", id="in a code fence"),
        pytest.param("issue_comment", comment("/towpath canary start", action="edited"), "once", id="edited comment"),
        pytest.param("check_run", check_run("ci / x", action="completed"), "completed", id="our own check run"),
        pytest.param("deployment_review", review("requested", None), "requested", id="review asked for"),
        pytest.param("merge_group", merge_group("destroyed"), "destroyed", id="group destroyed"),
    ],
)
def test_what_is_ignored(event: str, sent: Any, reason: str) -> None:
    """What asks for nothing is ignored with its reason."""
    found = route(event, sent, SETTINGS)

    assert isinstance(found, Ignored)
    assert reason in found.reason


RUN = "0a1b2c3d-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("event", "sent", "word"),
    [
        pytest.param(
            "issue_comment",
            comment(f"Looks good\n\n/towpath approve {RUN} fine by me"),
            Answering(Decision.APPROVE, RUN, "fine by me"),
            id="approve",
        ),
        pytest.param(
            "issue_comment",
            comment("/towpath reject 0a1b2c3d"),
            Answering(Decision.REJECT, "0a1b2c3d", ""),
            id="reject",
        ),
        pytest.param("issue_comment", comment("/towpath canary start"), StartCanary(""), id="canary"),
        pytest.param("issue_comment", comment("/towpath canary start v1.2"), StartCanary("v1.2"), id="canary of a tag"),
        pytest.param("issue_comment", comment("/towpath rerun ci / lint"), Rerun("ci / lint"), id="rerun"),
        pytest.param("issue_comment", comment(f"/towpath ok {HEAD}"), Allow(HEAD), id="ok"),
        pytest.param(
            "issue_comment",
            comment("/towpath canary start", by="Outsider", association="NONE"),
            StartCanary(""),
            id="listed by login",
        ),
        pytest.param("check_run", check_run("Size"), Rerun("Size"), id="button"),
        pytest.param("check_run", check_run("x", external_id=f"{RUN}/ci/a/b"), Rerun(f"{RUN}/ci/a/b"), id="our id"),
        pytest.param(
            "deployment_review",
            review("approved", f"/towpath approve {RUN}"),
            Answering(Decision.APPROVE, RUN, ""),
            id="review",
        ),
    ],
)
def test_commands(event: str, sent: Any, word: object) -> None:
    """A command is read, with the login that the signature stands for."""
    found = route(event, sent, SETTINGS)

    assert isinstance(found, Command)
    assert word == found.word
    assert (found.by, found.repository, found.target) in [
        (login, REPOSITORY, TARGET) for login in ("ada", "grace", "Outsider")
    ]


@pytest.mark.parametrize(
    ("event", "sent", "reason"),
    [
        pytest.param(
            "issue_comment", comment("/towpath canary start", association="CONTRIBUTOR"), "may not", id="contributor"
        ),
        pytest.param("issue_comment", comment(f"/towpath ok {HEAD}", association="NONE"), "may not", id="stranger"),
        pytest.param(
            "issue_comment", comment("/towpath canary start", association="FIRST_TIMER"), "may not", id="first time"
        ),
        pytest.param("issue_comment", comment("/towpath ok aaaaaaa"), "40 characters", id="short hash"),
        pytest.param("issue_comment", comment("/towpath approve"), "id of a run", id="approve nothing"),
        pytest.param("issue_comment", comment("/towpath approve a"), "id of a run", id="approve by one letter"),
        pytest.param("issue_comment", comment("/towpath launch"), "no command; known", id="unknown command"),
        pytest.param("issue_comment", comment("/towpath canary start --x"), "no command", id="option for a ref"),
        pytest.param("issue_comment", comment("/towpath"), "nothing is no command", id="no words"),
        pytest.param(
            "issue_comment", comment("/towpath canary start\n/towpath rerun ci"), "one command", id="two commands"
        ),
        pytest.param("push", push(repository=payload()["repository"] | {"full_name": "a/b"}), "a/b", id="other"),
        pytest.param("check_run", check_run("\u00fc"), "a name that Towpath does not give", id="strange check"),
        pytest.param("deployment_review", review("approved", "fine"), "names", id="review without a run"),
        pytest.param(
            "deployment_review", review("approved", f"/towpath reject {RUN}"), "names", id="review against its text"
        ),
        pytest.param(
            "deployment_review",
            review("approved", f"/towpath approve {RUN}", by="preview-reviewer"),
            "commanders",
            id="review by somebody not listed",
        ),
    ],
)
def test_what_is_refused(event: str, sent: Any, reason: str) -> None:
    """What somebody may not ask for, or asks for in words that are none, is refused with its reason."""
    found = route(event, sent, SETTINGS)

    assert isinstance(found, Refused)
    assert reason in found.reason


def test_commands_of_programs() -> None:
    """A command that a program writes, or that is sent in another's name, is refused."""
    for sender in (BOT, person("mallory")):
        found = route("issue_comment", comment("/towpath canary start") | {"sender": sender}, SETTINGS)

        assert isinstance(found, Refused)
        assert "not the person" in found.reason


def test_unknown_events() -> None:
    """An event the door has no use for is unknown, whatever its payload is."""
    assert Unknown() == route("star", {}, SETTINGS)


@pytest.mark.parametrize(
    ("event", "sent", "place"),
    [
        pytest.param("push", {}, "repository", id="empty"),
        pytest.param("push", payload(ref="refs/heads/x", after="HEAD"), "after", id="no hash"),
        pytest.param("push", push("refs/heads/a b"), "ref", id="space in a ref"),
        pytest.param("push", push("--upload-pack=x"), "ref", id="option for a ref"),
        pytest.param("pull_request", payload(action="opened"), "pull_request", id="no pull request"),
        pytest.param("issue_comment", payload(action="created", issue=[]), "issue", id="a list"),
    ],
)
def test_malformed(event: str, sent: Any, place: str) -> None:
    """A payload of another form is refused in one line that says where."""
    with pytest.raises(PayloadRefused) as caught:
        route(event, sent, SETTINGS)

    assert place in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    head=st.one_of(st.none(), st.from_regex(r"\A[a-z]{1,9}/[a-z]{1,9}\Z")), action=st.sampled_from(["opened", "edited"])
)
def test_forks_are_strangers(head: str | None, action: str) -> None:
    """A pull request is trusted exactly when its head is in the repository itself; its target never is a fork."""
    for start in triggered("pull_request", pull_request(action, head=head)).runs:
        assert start.origin.is_trusted == (head == REPOSITORY)
        assert start.parameters["origin"]["is_trusted"] == start.origin.is_trusted
        assert start.parameters["target"] == TARGET


def test_what_deployments_get() -> None:
    """Checks of a pull request get base, title and origin; releases get neither, and who asked."""
    checks, _, security = triggered("pull_request", pull_request()).runs
    (production,) = triggered("push", push("refs/tags/v1.2.0")).runs

    assert {key: value for key, value in checks.parameters.items() if key != "origin"} == {
        "target": TARGET,
        "ref": HEAD,
        "base": "main",
        "title": "Fix the till",
    }
    assert security.parameters["base"] == "main"
    assert (production.parameters["version"], production.parameters["who"]) == ("v1.2.0", "ada")


def test_what_is_cancelled() -> None:
    """Runs of one pull request share a key per deployment, with any commit; pushes and releases have none."""
    first = triggered("pull_request", pull_request(commit=HEAD)).runs
    second = triggered("pull_request", pull_request("synchronize", commit=OTHER)).runs
    pushed = triggered("push", push("refs/heads/main")).runs

    assert [start.cancels for start in first] == [start.cancels for start in second]
    assert len({start.cancels for start in first}) == 3
    assert {""} == {start.cancels for start in pushed}


def test_targets_of_the_operator() -> None:
    """What door.toml gives as target is used in place of the clone URL; a name goes before a pattern."""
    settings = DoorSettings(
        repositories={"acme/*": RepositorySettings(), "acme/shop": RepositorySettings(target="/srv/shop")}
    )
    found = route("push", push(), settings)

    assert isinstance(found, Trigger)
    assert found.runs[0].parameters["target"] == "/srv/shop"
