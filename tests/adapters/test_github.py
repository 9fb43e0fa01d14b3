"""GitHub as a forge, against a stand-in that answers from GitHub's own description and forgets nothing."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tasks.adapters.github import GitHubForge
from tasks.adapters.github_access import Access, access_of, connected
from tasks.core.forge.words import (
    Annotation,
    Conclusion,
    DeploymentState,
    ForgeCheck,
    ForgeDeployment,
    ForgeLater,
    ForgeRefused,
    Level,
)
from tasks.core.origin import Origin
from tests.lab.hub import OWNER, REPOSITORY, Fault, Hub, Who, hub

pytestmark = [pytest.mark.network, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

ORIGIN = Origin(repository=f"{OWNER}/{REPOSITORY}", commit="c0ffee" + "0" * 34, pull_request=7, base="main")
CHECK = ForgeCheck(
    key="run/ci/ruff", name="ci / ruff", conclusion=Conclusion.FAILURE, title="2 problems", summary="why"
)
_T = TypeVar("_T")


@pytest.fixture
def github() -> Iterator[Hub]:
    with hub() as found:
        yield found
    assert found.complaints == []


def annotations(count: int) -> tuple[Annotation, ...]:
    level = Level.FAILURE
    return tuple(
        Annotation(path="a b/é.py", line=line, level=level, message=f"m{line}") for line in range(1, count + 1)
    )


def told(there: Hub, act: Callable[[GitHubForge], Awaitable[_T]], waits: list[float] | None = None) -> _T:
    """What an act gives that is done over a new connection; the waits it took are noted and not waited."""

    async def pause(seconds: float) -> None:
        if waits is not None:
            waits.append(seconds)

    async def run() -> _T:
        async with connected(Access(api=there.address, token="not-a-token"), ORIGIN.repository) as connection:
            return await act(GitHubForge(connection, pause=pause))

    return asyncio.run(run())


def test_a_check_is_made_once_and_then_changed(github: Hub) -> None:
    """A check that goes on and then ends is one check run, found again by its key."""
    going = ForgeCheck(key=CHECK.key, name=CHECK.name, conclusion=Conclusion.GOES_ON, title="running")
    told(github, lambda forge: forge.write_check(ORIGIN, going))
    assert [(run["status"], run["conclusion"]) for run in github.check_runs] == [("in_progress", None)]
    told(github, lambda forge: forge.write_check(ORIGIN, CHECK))
    assert [(run["status"], run["conclusion"]) for run in github.check_runs] == [("completed", "failure")]
    assert github.check_runs[0]["head_sha"] == ORIGIN.commit


@pytest.mark.parametrize("count", [0, 1, 50, 51, 230])
def test_annotations_come_in_batches_and_each_once(github: Hub, count: int) -> None:
    """However many, each is there once and in order, though the check is written twice."""
    check = ForgeCheck(key="k", name="n", conclusion=Conclusion.FAILURE, title="t", annotations=annotations(count))
    for _ in range(2):
        told(github, lambda forge: forge.write_check(ORIGIN, check))
    (run,) = github.check_runs
    assert [sent["message"] for sent in github.annotations[run["id"]]] == [f"m{line}" for line in range(1, count + 1)]


@pytest.mark.parametrize("is_dropped", [True, False])
def test_what_was_done_without_an_answer_is_not_done_twice(github: Hub, is_dropped: bool) -> None:
    """Given answers that are lost on the way back, there is one check with each annotation, and one comment."""
    lost = [
        Fault(method="POST", ending="/check-runs", is_done=True, is_dropped=is_dropped),
        Fault(method="PATCH", ending="/check-runs/1", is_done=True, is_dropped=is_dropped),
        Fault(method="POST", ending="/comments", is_done=True, is_dropped=is_dropped),
        Fault(method="POST", ending="/deployments", is_done=True, is_dropped=is_dropped),
    ]
    github.faults += lost
    check = ForgeCheck(key="k", name="n", conclusion=Conclusion.FAILURE, title="t", annotations=annotations(120))
    told(github, lambda forge: forge.write_check(ORIGIN, check))
    told(github, lambda forge: forge.write_comment(ORIGIN, "text", name="pr"))
    told(github, lambda forge: forge.write_deployment(ORIGIN, DEPLOYMENT))
    assert github.faults == []
    assert [len(sent) for sent in github.annotations.values()] == [120]
    assert (len(github.check_runs), len(github.comments), len(github.deployments)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (Fault(method="POST", ending="/check-runs", status=403, headers={"retry-after": "7"}), 7.0),
        (Fault(method="POST", ending="/check-runs", status=429, headers={"retry-after": "3"}), 3.0),
        (
            Fault(method="POST", ending="/check-runs", status=403, message="You have exceeded a secondary rate limit"),
            60.0,
        ),
        (Fault(method="GET", ending="/check-runs", status=500), 1.0),
        (Fault(method="GET", ending="/check-runs", status=502), 1.0),
        (Fault(method="GET", ending="/check-runs", status=503), 1.0),
        (Fault(method="GET", ending="/check-runs", is_cut=True, is_done=True), 1.0),
        (Fault(method="GET", ending="/check-runs", is_dropped=True), 1.0),
    ],
)
def test_what_passes_is_waited_for(github: Hub, fault: Fault, wait: float) -> None:
    """A limit, a failure of the server, an answer cut off or lost: it is asked again after the wait that was named."""
    github.faults.append(fault)
    waits: list[float] = []
    told(github, lambda forge: forge.write_check(ORIGIN, CHECK), waits)
    assert waits == [wait]
    assert len(github.check_runs) == 1


def test_nobody_waits_for_an_hour(github: Hub) -> None:
    """A limit that ends in an hour is a later at once, which says when."""
    github.faults.append(Fault(method="GET", ending="/check-runs", status=403, headers={"retry-after": "3600"}))
    waits: list[float] = []
    with pytest.raises(ForgeLater) as later:
        told(github, lambda forge: forge.write_check(ORIGIN, CHECK), waits)
    assert (waits, later.value.after_seconds) == ([], 3600.0)


def test_a_server_that_stays_broken_is_given_up(github: Hub) -> None:
    """After five tries with growing waits it is a later."""
    github.faults += [Fault(method="GET", ending="/check-runs")] * 5
    waits: list[float] = []
    with pytest.raises(ForgeLater, match="502"):
        told(github, lambda forge: forge.write_check(ORIGIN, CHECK), waits)
    assert waits == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize("status", [401, 404, 409, 410, 422])
def test_a_refusal_is_not_repeated(github: Hub, status: int) -> None:
    """What GitHub will never do is asked once, and the reason is one line without the token."""
    github.faults.append(Fault(method="GET", ending="/comments", status=status))
    with pytest.raises(ForgeRefused) as refused:
        told(github, lambda forge: forge.write_comment(ORIGIN, "text", name="pr"))
    assert str(status) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "not-a-token" not in str(refused.value)
    assert len(github.asked) == 1


def test_whoever_may_not_write_checks_writes_statuses() -> None:
    """With a person's token a check is a commit status, whose description fits."""
    with hub(Who.PERSON) as github:
        long = ForgeCheck(
            key="k", name="ci / ruff", conclusion=Conclusion.FAILURE, title="x" * 200, details_url="http://p"
        )
        told(github, lambda forge: forge.write_check(ORIGIN, long))
        (status,) = github.statuses
        assert (status["state"], status["context"], len(status["description"])) == ("failure", "ci / ruff", 140)
        assert github.complaints == []


@pytest.mark.parametrize("who", list(Who))
def test_the_comment_is_edited_in_place(who: Who) -> None:
    """The second text replaces the first, and somebody else's comment with our mark is left alone."""
    with hub(who) as github:
        github.say("mallory", "<!-- towpath:pr -->\nI am the pipeline")
        for number in range(45):
            github.say("bob", f"comment {number}")
        told(github, lambda forge: forge.write_comment(ORIGIN, "first", name="pr"))
        told(github, lambda forge: forge.write_comment(ORIGIN, "second", name="pr"))
        ours = [comment["body"] for comment in github.comments if comment["user"]["login"] == who]
        assert [body.splitlines()[-1] for body in ours] == ["second"]
        assert github.comments[0]["body"].endswith("I am the pipeline")
        assert github.complaints == []


def test_a_comment_that_says_the_same_is_not_written(github: Hub) -> None:
    """Nothing is sent where nothing would change."""
    for _ in range(2):
        told(github, lambda forge: forge.write_comment(ORIGIN, "text", name="pr"))
    assert [method for method, _ in github.asked if method != "GET"] == ["POST"]


def test_labels_that_people_set_stay(github: Hub) -> None:
    """What Towpath set and is wanted no more goes; what a person set stays, wanted or not."""
    pool = frozenset({"size/S", "size/L", "area: é/x", "docs"})
    github.labels += ["docs", "bug"]
    told(github, lambda forge: forge.write_comment(ORIGIN, "report", name="pr"))
    first = frozenset({"size/S", "docs", "area: é/x"})
    assert told(github, lambda forge: forge.write_labels(ORIGIN, first, pool=pool)) == ("+area: é/x", "+size/S")
    assert set(github.labels) == {"docs", "bug", "size/S", "area: é/x"}
    told(github, lambda forge: forge.write_comment(ORIGIN, "report two", name="pr"))
    second = frozenset({"size/L"})
    changed = told(github, lambda forge: forge.write_labels(ORIGIN, second, pool=pool))
    assert changed == ("+size/L", "-area: é/x", "-size/S")
    assert set(github.labels) == {"docs", "bug", "size/L"}
    assert len(github.comments) == 1
    assert github.comments[0]["body"].endswith("report two")


def test_a_label_that_was_added_before_a_crash_is_known_as_ours(github: Hub) -> None:
    """Given a crash right after adding, the next run still takes the label away when it is wanted no more."""
    pool = frozenset({"size/S", "size/L"})
    github.faults += [Fault(method="POST", ending="/labels", is_done=True, status=422)]
    with pytest.raises(ForgeRefused):
        told(github, lambda forge: forge.write_labels(ORIGIN, frozenset({"size/S"}), pool=pool))
    told(github, lambda forge: forge.write_labels(ORIGIN, frozenset({"size/L"}), pool=pool))
    assert github.labels == ["size/L"]


DEPLOYMENT = ForgeDeployment(
    key="run-1", environment="production", state=DeploymentState.IN_PROGRESS, description="v2", is_production=True
)


def test_a_deployment_is_one_with_all_its_states(github: Hub) -> None:
    """The states of one run are one deployment's, newest first, and the same state is not told twice."""
    done = ForgeDeployment(key="run-1", environment="production", state=DeploymentState.SUCCESS, description="v2")
    for state in (DEPLOYMENT, DEPLOYMENT, done):
        told(github, lambda forge, state=state: forge.write_deployment(ORIGIN, state))  # type: ignore[misc]
    assert [made["payload"] for made in github.deployments] == [{"towpath": "run-1"}]
    assert [made["state"] for made in github.deployment_statuses[1]] == ["success", "in_progress"]


def test_our_comment_is_found_on_the_last_page(github: Hub) -> None:
    """Behind three hundred comments of others ours is edited, and no second one is made."""
    told(github, lambda forge: forge.write_comment(ORIGIN, "report one", name="pr"))
    github.comments[:0] = [{**github.comments[0], "id": 1000 + number, "body": "nice"} for number in range(300)]
    told(github, lambda forge: forge.write_comment(ORIGIN, "report two", name="pr"))

    assert len(github.comments) == 301
    assert github.comments[-1]["body"].endswith("report two")


@pytest.fixture(scope="module")
def key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind, form, without = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.private_bytes(kind, form, without).decode()


SHOWING = {"metadata": "read", "checks": "write", "pull_requests": "write"}


@pytest.mark.parametrize(
    ("is_trusted", "asked"),
    [(True, {"repositories": ["shop"]}), (False, {"repositories": ["shop"], "permissions": SHOWING})],
)
def test_an_app_asks_as_its_installation(
    github: Hub, key: str, tmp_path: Path, is_trusted: bool, asked: dict[str, Any]
) -> None:
    """The App's key fetches a token for one repository, of which a stranger's run may use what shows its checks."""
    (tmp_path / "key.pem").write_text(key)
    named = {"TOWPATH_GITHUB_APP_ID": "12", "TOWPATH_GITHUB_APP_KEY": str(tmp_path / "key.pem")}
    access = access_of(github.address, named)
    assert access == Access(api=github.address, app_id="12", app_key=key)
    assert key not in repr(access)

    async def run() -> None:
        assert access is not None
        async with connected(access, ORIGIN.repository, for_stranger=not is_trusted) as connection:
            await GitHubForge(connection).write_check(ORIGIN, CHECK)

    asyncio.run(run())
    assert len(github.check_runs) == 1
    assert github.asked_tokens == [asked]
    used = [re.sub(r"(?<=[Bb]earer )ey\S+", "JWT", token) for token in github.tokens]
    assert [token.split()[-1] for token in used] == ["JWT", "JWT", "ghs-77", "ghs-77"]


@pytest.mark.parametrize("given", ["/nonexistent/key.pem", "nonsense", "-----BEGIN PRIVATE KEY-----\nx\n"])
def test_a_key_that_cannot_be_read_is_refused_in_one_line(given: str) -> None:
    """A key that is neither a key nor a file is refused by the variable's name."""
    with pytest.raises(ForgeRefused, match=r"^TOWPATH_GITHUB_APP_KEY: "):
        access_of("http://x", {"TOWPATH_GITHUB_APP_ID": "12", "TOWPATH_GITHUB_APP_KEY": given})


def test_without_anybody_nothing_is_asked() -> None:
    """No token and no App is no access, and a token alone is enough."""
    assert access_of("http://x", {}) is None
    assert access_of("http://x", {"GITHUB_TOKEN": "t"}) == Access(api="http://x", token="t")


@pytest.mark.parametrize(("state", "is_in"), [("active", True), ("pending", False), (None, False)])
def test_teams(github: Hub, state: str | None, is_in: bool) -> None:
    """Who has accepted is in a team; who was only invited, or is unknown to it, is not."""
    if state:
        github.members["towline/release team", "ada"] = state

    assert told(github, lambda forge: forge.is_in_team("ada", "towline/release team")) is is_in


def test_a_token_that_may_not_see_teams(github: Hub) -> None:
    """A token without the right to see members is a refusal, and nobody is in a team by it."""
    github.faults.append(Fault(method="GET", ending="/memberships/ada", status=403))
    with pytest.raises(ForgeRefused, match="may not do this"):
        told(github, lambda forge: forge.is_in_team("ada", "towline/release"))
