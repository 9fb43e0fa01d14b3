"""Payloads of GitHub's events, with the fields that decide and a few that must be passed over."""

from typing import Any

REPOSITORY = "acme/shop"
HEAD, OTHER = "a" * 40, "b" * 40


def person(login: str = "ada", *, type_: str = "User") -> dict[str, Any]:
    return {"login": login, "type": type_, "id": 7}


def payload(**changes: Any) -> dict[str, Any]:
    repository = {
        "full_name": REPOSITORY,
        "clone_url": "https://forge.test/acme/shop.git",
        "default_branch": "main",
        "private": False,
    }
    return {"repository": repository, "sender": person()} | changes


def push(ref: str = "refs/heads/topic", *, commit: str = HEAD, message: str = "Change it", **more: Any) -> Any:
    return payload(ref=ref, after=commit, head_commit={"message": message, "id": commit}, **more)


def pull_request(
    action: str = "opened",
    *,
    number: int = 7,
    commit: str = HEAD,
    head: str | None = REPOSITORY,
    moment: str = "2026-01-01T00:00:00Z",
    title: str = "Fix the till",
    **more: Any,
) -> Any:
    request = {
        "number": number,
        "title": title,
        "state": "open",
        "updated_at": moment,
        "head": {"sha": commit, "ref": "topic", "repo": head and {"full_name": head, "clone_url": "https://evil.test"}},
        "base": {"ref": "main", "sha": OTHER},
    }
    return payload(action=action, number=number, pull_request=request, **more)


def comment(body: str, *, by: str = "ada", association: str = "MEMBER", action: str = "created", **more: Any) -> Any:
    said = {"body": body, "author_association": association, "user": person(by)}
    return payload(action=action, issue={"number": 7, "pull_request": {}}, comment=said, sender=person(by), **more)


def check_run(name: str, *, action: str = "rerequested", external_id: str = "") -> Any:
    run = {"name": name, "external_id": external_id, "head_sha": HEAD, "pull_requests": [{"number": 7}]}
    return payload(action=action, check_run=run)


def review(action: str, text: str | None, *, by: str = "grace") -> Any:
    return payload(action=action, comment=text, approver=person(by))


def merge_group(action: str = "checks_requested") -> Any:
    group = {"head_sha": HEAD, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-abc", "base_ref": "refs/heads/main"}
    return payload(action=action, merge_group=group)
