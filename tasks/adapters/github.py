"""GitHub as a forge: check runs or statuses, one comment, labels, deployments, teams, by its REST API.

Every act first looks for what an earlier try may have done, so that a repetition does nothing twice: a check is found
by its external id, a comment by its mark and author, a deployment by the run in its payload. The contract is GitHub's
published OpenAPI description, against which the tests hold every request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from tasks.adapters.github_access import Connection, ForgeRefusal
from tasks.core.forge.checks import batches
from tasks.core.forge.comments import is_marked, label_change, marked, remembered_labels, with_labels
from tasks.core.forge.patience import LONGEST_SECONDS, backoff_seconds
from tasks.core.forge.words import (
    Annotation,
    Conclusion,
    DeploymentState,
    ForgeCheck,
    ForgeDeployment,
    ForgeLater,
)
from tasks.core.origin import Origin

_TRIES = 5
_STATUS_CHARACTERS = 140
# The one comment there is on a pull request, which remembers the labels too.
_LABELS = "pr"

_T = TypeVar("_T")
Pause = Callable[[float], Awaitable[None]]


class GitHubForge:
    """The Forge of one repository; `pause` waits for so many seconds."""

    def __init__(self, connection: Connection, *, pause: Pause = asyncio.sleep) -> None:
        self._ask = connection.ask
        self._ask_all = connection.ask_all
        self._pause = pause
        self._has_checks = True

    async def write_check(self, origin: Origin, check: ForgeCheck) -> None:
        await self._persistently(lambda: self._write_check(origin, check))

    async def write_comment(self, origin: Origin, text: str, *, name: str) -> None:
        await self._persistently(lambda: self._write_comment(origin, text, name))

    async def write_labels(self, origin: Origin, wanted: frozenset[str], *, pool: frozenset[str]) -> tuple[str, ...]:
        return await self._persistently(lambda: self._write_labels(origin, wanted, pool))

    async def write_deployment(self, origin: Origin, deployment: ForgeDeployment) -> None:
        await self._persistently(lambda: self._write_deployment(origin, deployment))

    async def own_login(self) -> str:
        return await self._persistently(self._login)

    async def is_in_team(self, login: str, team: str) -> bool:
        return await self._persistently(lambda: self._is_in_team(login, team))

    async def _is_in_team(self, login: str, team: str) -> bool:
        organization, _, slug = team.partition("/")
        path = f"/orgs/{quote(organization, safe='')}/teams/{quote(slug, safe='')}/memberships/{quote(login, safe='')}"
        try:
            return bool((await self._ask("GET", path))["state"] == "active")
        except ForgeRefusal as refused:
            # GitHub says so of somebody who is no member, of a team that is none, and of one the token may not see.
            if refused.status == 404:
                return False
            raise

    async def _persistently(self, act: Callable[[], Awaitable[_T]]) -> _T:
        """Try until it is done, as long as GitHub's waits are ones that somebody would wait."""
        for attempt in range(_TRIES - 1):
            try:
                return await act()
            except ForgeLater as later:
                wait = later.after_seconds or backoff_seconds(attempt)
                if wait > LONGEST_SECONDS:
                    raise
                await self._pause(wait)
        return await act()

    async def _write_check(self, origin: Origin, check: ForgeCheck) -> None:
        if self._has_checks:
            try:
                await self._write_check_run(origin, check)
            except ForgeRefusal as refused:
                # Only a GitHub App may write check runs; whoever has a token may still say how it went.
                if refused.status not in (403, 404):
                    raise
                self._has_checks = False
        if not self._has_checks:
            await self._write_status(origin, check)

    async def _write_check_run(self, origin: Origin, check: ForgeCheck) -> None:
        """GitHub appends annotations at each change: those an earlier try has sent are not sent again."""
        there = await self._check_run(origin, check)
        sent = int((there.get("output") or {}).get("annotations_count") or 0) if there else 0
        first, *others = batches(check.annotations[sent:])
        body = {**_check_body(check), "output": _output(check, first)}
        runs = f"/repos/{origin.repository}/check-runs"
        if there is None:
            there = await self._ask("POST", runs, body={**body, "head_sha": origin.commit})
        else:
            await self._ask("PATCH", f"{runs}/{there['id']}", body=body)
        for batch in others:
            await self._ask("PATCH", f"{runs}/{there['id']}", body={"output": _output(check, batch)})

    async def _check_run(self, origin: Origin, check: ForgeCheck) -> dict[str, Any] | None:
        path = f"/repos/{origin.repository}/commits/{origin.commit}/check-runs"
        asked = {"check_name": check.name, "filter": "all"}
        found = await self._ask_all(path, under="check_runs", query=asked)
        return next((run for run in found if run.get("external_id") == check.key), None)

    async def _write_status(self, origin: Origin, check: ForgeCheck) -> None:
        body = {
            "state": _status(check.conclusion),
            "context": check.name,
            "description": check.title[:_STATUS_CHARACTERS],
            **({"target_url": check.details_url} if check.details_url else {}),
        }
        await self._ask("POST", f"/repos/{origin.repository}/statuses/{origin.commit}", body=body)

    async def _write_comment(self, origin: Origin, text: str, name: str) -> None:
        there = await self._comment(origin, name)
        labels = remembered_labels(there["body"]) if there else frozenset[str]()
        await self._put_comment(origin, there, marked(text, name=name, labels=labels))

    async def _put_comment(self, origin: Origin, there: Mapping[str, Any] | None, body: str) -> None:
        if there is None:
            path = f"/repos/{origin.repository}/issues/{origin.pull_request}/comments"
            await self._ask("POST", path, body={"body": body})
        elif there["body"] != body:
            await self._ask("PATCH", f"/repos/{origin.repository}/issues/comments/{there['id']}", body={"body": body})

    async def _comment(self, origin: Origin, name: str) -> Mapping[str, Any] | None:
        """Our own comment of this name: anybody can write its mark, so that the author must be us."""
        path = f"/repos/{origin.repository}/issues/{origin.pull_request}/comments"
        found = [comment for comment in await self._ask_all(path) if is_marked(comment.get("body") or "", name)]
        login = await self._login() if found else ""
        return next((comment for comment in found if _is_by(comment, login)), None)

    async def _login(self) -> str:
        """Who we are; empty for an App and for the token of an Actions run, which may not ask and are bots."""
        try:
            return str((await self._ask("GET", "/user"))["login"])
        except ForgeRefusal as refused:
            if refused.status == 403:
                return ""
            raise

    async def _write_labels(self, origin: Origin, wanted: frozenset[str], pool: frozenset[str]) -> tuple[str, ...]:
        path = f"/repos/{origin.repository}/issues/{origin.pull_request}/labels"
        present = frozenset(str(label["name"]) for label in await self._ask_all(path))
        there = await self._comment(origin, _LABELS)
        own = remembered_labels(there["body"]) if there else frozenset[str]()
        change = label_change(present=present, wanted=wanted, pool=pool, own=own)
        # NOTE: remembered before it is done: what was added and then forgotten would stay for ever.
        intended = change.own | change.removed
        if intended != own:
            await self._put_comment(origin, there, _label_comment(there, intended))
        if change.added:
            await self._ask("POST", path, body={"labels": sorted(change.added)})
        for name in sorted(change.removed):
            await self._remove_label(f"{path}/{quote(name, safe='')}")
        if change.removed:
            there = await self._comment(origin, _LABELS)
            await self._put_comment(origin, there, _label_comment(there, change.own))
        return (*(f"+{name}" for name in sorted(change.added)), *(f"-{name}" for name in sorted(change.removed)))

    async def _remove_label(self, path: str) -> None:
        try:
            await self._ask("DELETE", path)
        except ForgeRefusal as refused:
            if refused.status != 404:
                raise

    async def _write_deployment(self, origin: Origin, deployment: ForgeDeployment) -> None:
        path = f"/repos/{origin.repository}/deployments"
        there = await self._deployment(path, origin, deployment)
        if there is None:
            there = await self._ask("POST", path, body=_deployment_body(origin, deployment))
        statuses = f"{path}/{there['id']}/statuses"
        body = {
            "state": str(deployment.state),
            "description": deployment.description[:_STATUS_CHARACTERS],
            "auto_inactive": deployment.state is DeploymentState.SUCCESS,
            **({"log_url": deployment.details_url} if deployment.details_url else {}),
        }
        newest = await self._ask_all(statuses)
        if not newest or newest[0].get("state") != body["state"]:
            await self._ask("POST", statuses, body=body)

    async def _deployment(self, path: str, origin: Origin, deployment: ForgeDeployment) -> dict[str, Any] | None:
        asked = {"sha": origin.commit, "environment": deployment.environment, "task": "deploy"}
        for found in await self._ask_all(path, query=asked):
            payload = found.get("payload")
            if isinstance(payload, dict) and payload.get("towpath") == deployment.key:
                return dict(found)
        return None


def _check_body(check: ForgeCheck) -> dict[str, Any]:
    body: dict[str, Any] = {"name": check.name, "external_id": check.key}
    if check.details_url:
        body["details_url"] = check.details_url
    if check.conclusion is Conclusion.GOES_ON:
        return {**body, "status": "in_progress"}
    return {**body, "status": "completed", "conclusion": str(check.conclusion)}


def _output(check: ForgeCheck, annotations: tuple[Annotation, ...]) -> dict[str, Any]:
    return {
        "title": check.title,
        "summary": check.summary or check.title,
        "annotations": [
            {
                "path": annotation.path,
                "start_line": annotation.line,
                "end_line": annotation.line,
                "annotation_level": str(annotation.level),
                "message": annotation.message,
                **({"title": annotation.title} if annotation.title else {}),
            }
            for annotation in annotations
        ],
    }


def _status(conclusion: Conclusion) -> str:
    match conclusion:
        case Conclusion.GOES_ON:
            return "pending"
        case Conclusion.SUCCESS | Conclusion.NEUTRAL | Conclusion.SKIPPED:
            return "success"
        case Conclusion.CANCELLED:
            return "error"
        case Conclusion.FAILURE:
            return "failure"


def _is_by(comment: Mapping[str, Any], login: str) -> bool:
    user = comment.get("user") or {}
    return user.get("login") == login if login else user.get("type") == "Bot"


def _label_comment(there: Mapping[str, Any] | None, labels: frozenset[str]) -> str:
    text = "Towpath has set labels on this pull request, and keeps them up to date; those that people set stay."
    return with_labels(there["body"], labels) if there else marked(text, name=_LABELS, labels=labels)


def _deployment_body(origin: Origin, deployment: ForgeDeployment) -> dict[str, Any]:
    return {
        "ref": origin.commit,
        "task": "deploy",
        "auto_merge": False,
        # NOTE: Towpath's own gates have decided; GitHub would refuse while any check goes on, ours among them.
        "required_contexts": [],
        "environment": deployment.environment,
        "description": deployment.description[:_STATUS_CHARACTERS],
        "payload": {"towpath": deployment.key},
        "production_environment": deployment.is_production,
        "transient_environment": False,
    }
