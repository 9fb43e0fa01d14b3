"""What a delivery of GitHub's means: runs to start, a command to carry out, or nothing, with the reason.

Pure: the name of the event, its payload and the door's settings decide, and nothing else. It promises that a change
from a fork is never called trusted, that a target's address is never a fork's, that what Towpath itself does on GitHub
starts nothing, and that a release is asked for by a branch or tag of the repository and by nothing else.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.core.door_commands import Answering, NotUnderstood, Word, read_comment
from tasks.core.door_settings import DoorSettings
from tasks.core.origin import Origin
from tasks.core.payloads import (
    CheckRunEvent,
    CommentEvent,
    DeploymentReview,
    MergeGroupEvent,
    Payload,
    Person,
    PullRequestEvent,
    Push,
    parse,
)
from tasks.core.starts import Start, starts_of

_SKIP = re.compile(r"\[(skip ci|ci skip|no ci|skip actions|actions skip|skip towpath)\]", re.IGNORECASE)
_BRANCH, _TAG = "refs/heads/", "refs/tags/"
_EVERYTHING = frozenset({"opened", "synchronize", "reopened"})
_CHECKS_ONLY = frozenset({"edited", "labeled"})


@dataclass(frozen=True)
class Trigger:
    """Runs to start, each once."""

    runs: tuple[Start, ...]


@dataclass(frozen=True)
class Command:
    """What a person asked for. `by` is the login that GitHub's signature stands for."""

    word: Word
    by: str
    repository: str
    target: str
    pull_request: int = 0
    commit: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Refused:
    """Somebody asked for what he may not have, or in words that are none; kept, so that he can be told."""

    reason: str


@dataclass(frozen=True)
class Ignored:
    """Understood, and nothing to do."""

    reason: str


@dataclass(frozen=True)
class Unknown:
    """An event that the door has no use for."""


Decision = Trigger | Command | Refused | Ignored | Unknown


@dataclass(frozen=True)
class _Seen:
    """A payload with what the settings say of its repository."""

    payload: Any
    settings: DoorSettings
    target: str
    own_login: str


def route(event: str, payload: Mapping[str, Any], settings: DoorSettings, *, own_login: str = "") -> Decision:
    """What a delivery means; `own_login` is by which name we set labels, where we have one. Raises PayloadRefused."""
    if event == "ping":
        return Ignored("ping: the hook works")
    reader = _READERS.get(event)
    if reader is None:
        return Unknown()
    common = parse(Payload, payload)
    accepted = settings.repository(common.repository.full_name)
    if accepted is None:
        return Refused(f"{common.repository.full_name} is not among the repositories of door.toml")
    return reader(_Seen(payload, settings, accepted.target or common.repository.clone_url, own_login))


def _pushed(seen: _Seen) -> Decision:
    push = parse(Push, seen.payload)
    if push.deleted or not push.after.strip("0"):
        return Ignored(f"{push.ref} was deleted")
    if push.ref.startswith(_TAG):
        return _tagged(push, seen)
    if not push.ref.startswith(_BRANCH):
        return Ignored(f"{push.ref} is neither branch nor tag")
    branch = push.ref.removeprefix(_BRANCH)
    if push.head_commit and _SKIP.search(push.head_commit.message):
        return Ignored("the commit's message asks to skip it")
    if branch.startswith("gh-readonly-queue/"):
        return Ignored("a branch of the merge queue, which merge_group tells of")
    names = ["ci", "security"] + (["cd"] if branch == push.repository.default_branch else [])
    origin = Origin(
        repository=push.repository.full_name,
        commit=push.after,
        is_trusted=True,
        is_default_branch=branch == push.repository.default_branch,
    )
    return Trigger(starts_of(names, seen.target, origin, who=push.sender.login))


def _tagged(push: Push, seen: _Seen) -> Decision:
    tag = push.ref.removeprefix(_TAG)
    if not re.match(r"^v\d", tag):
        return Ignored(f"tag {tag} is no version: v and a number are")
    origin = Origin(repository=push.repository.full_name, commit=push.after, is_trusted=True)
    return Trigger(starts_of(["production"], seen.target, origin, who=push.sender.login, version=tag))


def _pull_request(seen: _Seen) -> Decision:
    event = parse(PullRequestEvent, seen.payload)
    if event.action not in _EVERYTHING | _CHECKS_ONLY:
        return Ignored(f"pull request {event.action}")
    if event.pull_request.state != "open":
        return Ignored("the pull request is closed")
    if event.action in _CHECKS_ONLY and event.sender.is_bot:
        return Ignored(f"{event.sender.login} is a program: answering what programs edit and label would never end")
    if event.action == "labeled" and seen.own_login and event.sender.login.casefold() == seen.own_login.casefold():
        return Ignored(f"{event.sender.login} is who sets our labels: answering them would never end")
    head, repository = event.pull_request.head, event.repository.full_name
    origin = Origin(
        repository=repository,
        commit=head.sha,
        pull_request=event.pull_request.number,
        base=event.pull_request.base.ref,
        is_trusted=head.repo is not None and head.repo.full_name.casefold() == repository.casefold(),
    )
    # NOTE: with another base other rules decide, so that what passed under the old one's says nothing.
    is_whole = event.action in _EVERYTHING or "base" in event.changes
    names = ["pr-checks", "ci", "security"] if is_whole else ["pr-checks"]
    return Trigger(
        starts_of(
            names,
            seen.target,
            origin,
            who=event.sender.login,
            title=event.pull_request.title,
            moment=event.pull_request.updated_at,
        )
    )


def _commented(seen: _Seen) -> Decision:
    event = parse(CommentEvent, seen.payload)
    if event.action != "created":
        return Ignored(f"comment {event.action}: a command is heard once, when it is written")
    word = read_comment(event.comment.body)
    if word is None:
        return Ignored("a comment without a command")
    if event.sender.is_bot or event.comment.user.login != event.sender.login:
        return Refused(f"{event.sender.login} is not the person who wrote the comment")
    return _asked(word, event.sender, event.comment.author_association, event, seen, event.issue.number)


def _asked(
    word: Word | NotUnderstood, who: Person, association: str, event: Payload, seen: _Seen, pull_request: int
) -> Decision:
    if not seen.settings.may_command(who.login, association):
        return Refused(f"{who.login} ({association}) may not give commands in {event.repository.full_name}")
    if isinstance(word, NotUnderstood):
        return Refused(f"{who.login}: {word.reason}")
    return Command(word, who.login, event.repository.full_name, seen.target, pull_request)


def _rerequested(seen: _Seen) -> Decision:
    event = parse(CheckRunEvent, seen.payload)
    if event.action != "rerequested":
        return Ignored(f"check run {event.action}")
    from_comment = read_comment(f"/towpath rerun {event.check_run.external_id or event.check_run.name}")
    if from_comment is None or isinstance(from_comment, NotUnderstood):
        return Refused("the check run has a name that Towpath does not give")
    number = next((each.number for each in event.check_run.pull_requests), 0)
    # NOTE: GitHub offers the button only to those who may write to the repository.
    return Command(
        from_comment,
        event.sender.login,
        event.repository.full_name,
        seen.target,
        number,
        commit=event.check_run.head_sha,
    )


def _reviewed(seen: _Seen) -> Decision:
    event = parse(DeploymentReview, seen.payload)
    if event.action not in ("approved", "rejected"):
        return Ignored(f"deployment review {event.action}")
    who = event.approver or event.sender
    word = read_comment(event.comment or "")
    decision = "approve" if event.action == "approved" else "reject"
    if not isinstance(word, Answering) or word.decision.value != decision:
        return Refused(f"{who.login}: a review counts for the run it names: write /towpath {decision} RUN in it")
    # NOTE: whoever may review one environment may not therefore answer for another.
    if not seen.settings.is_commander(who.login):
        return Refused(f"{who.login} is not among the commanders of door.toml")
    return Command(word, who.login, event.repository.full_name, seen.target)


def _queued(seen: _Seen) -> Decision:
    event = parse(MergeGroupEvent, seen.payload)
    if event.action != "checks_requested":
        return Ignored(f"merge group {event.action}")
    group = event.merge_group
    base = group.base_ref.removeprefix(_BRANCH)
    origin = Origin(repository=event.repository.full_name, commit=group.head_sha, base=base, is_trusted=True)
    return Trigger(starts_of(["ci", "security"], seen.target, origin, who=event.sender.login))


_READERS: Mapping[str, Callable[[_Seen], Decision]] = {
    "push": _pushed,
    "pull_request": _pull_request,
    "issue_comment": _commented,
    "check_run": _rerequested,
    "deployment_review": _reviewed,
    "merge_group": _queued,
}
