"""The parts of GitHub's payloads that decide something, typed.

A payload is a stranger's text: what is not of the expected form is refused in one line, and nothing of it beyond these
fields is believed. Fields that GitHub adds are passed over.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
FullName = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$", max_length=140)]
RefName = Annotated[str, Field(pattern=r"^[^\x00-\x20\x7f~^:?*\[\\-][^\x00-\x20\x7f~^:?*\[\\]*$", max_length=255)]
Text = Annotated[str, Field(max_length=70_000)]
Line = Annotated[str, Field(max_length=1024)]


class PayloadRefused(Exception):
    """The payload is not what its event's payloads are; the text is one line."""


class Part(BaseModel):
    """A part of a payload: only these fields of it matter."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Person(Part):
    login: Annotated[str, Field(min_length=1, max_length=100)]
    type: Line = "User"

    @property
    def is_bot(self) -> bool:
        return self.type == "Bot" or self.login.endswith("[bot]")


class Repository(Part):
    full_name: FullName
    clone_url: Line
    default_branch: RefName = "main"


class Payload(Part):
    """What every event has. `ping` of an organisation's hook has no repository."""

    repository: Repository
    sender: Person
    action: Line = ""


class PushedCommit(Part):
    message: Text = ""


class Push(Payload):
    ref: RefName
    after: Commit
    deleted: bool = False
    head_commit: PushedCommit | None = None


class Forked(Part):
    full_name: FullName


class Head(Part):
    """The head of a pull request; `repo` is None where the fork was deleted."""

    sha: Commit
    ref: RefName
    repo: Forked | None = None


class Base(Part):
    ref: RefName


class PullRequest(Part):
    number: Annotated[int, Field(ge=1)]
    title: Line = ""
    updated_at: Line = ""
    state: Line = "open"
    head: Head
    base: Base


class PullRequestEvent(Payload):
    pull_request: PullRequest
    changes: Mapping[str, Any] = Field(default_factory=dict)


class Comment(Part):
    body: Text = ""
    author_association: Line = "NONE"
    user: Person


class Issue(Part):
    number: Annotated[int, Field(ge=1)]
    pull_request: Mapping[str, Any] | None = None


class CommentEvent(Payload):
    issue: Issue
    comment: Comment


class Numbered(Part):
    number: Annotated[int, Field(ge=1)]


class CheckRun(Part):
    name: Line = ""
    external_id: Line = ""
    head_sha: Commit
    pull_requests: tuple[Numbered, ...] = ()


class CheckRunEvent(Payload):
    check_run: CheckRun


class DeploymentReview(Payload):
    """`comment` is what the reviewer wrote, `approver` who it was."""

    comment: Text | None = None
    approver: Person | None = None


class Group(Part):
    head_sha: Commit
    head_ref: RefName
    base_ref: RefName


class MergeGroupEvent(Payload):
    merge_group: Group


_Form = TypeVar("_Form", bound=Part)


def parse(form: type[_Form], payload: Any) -> _Form:
    """The payload in its form. Raises PayloadRefused, which says where it is wrong and never quotes it."""
    try:
        return form.model_validate(payload)
    except ValidationError as refused:
        first = refused.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise PayloadRefused(f"{place}: {first['msg']}") from refused
