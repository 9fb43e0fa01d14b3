"""GitHub's REST API as far as Towpath asks it, on loopback, with a memory, and with every way to fail.

It solves that no test can have GitHub itself. It promises that a request which does not fit GitHub's own description is
an error of the test (`complaints`), and that its answers fit it too. What it does not know it refuses.

`with hub() as hub:` and point Towpath's API address at `hub.address`.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

from tests.lab.hub_description import PATHS, answer_schema, contract, filled, property_schema

OWNER, REPOSITORY = "towline", "shop"
_HOST = "https://api.github.com"


class Who(StrEnum):
    """Whose token asks: it decides who a comment is by, and whether check runs may be written."""

    APP = "towpath[bot]"
    PERSON = "ada"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How one request to a path that ends so is answered, once. `is_done` says whether it was done all the same."""

    method: str
    ending: str
    status: int = 502
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "no"
    is_done: bool = False
    is_dropped: bool = False
    is_cut: bool = False


@dataclass
class Hub:
    """What the repository holds, and what was asked of it."""

    who: Who = Who.APP
    check_runs: list[dict[str, Any]] = field(default_factory=list)
    annotations: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    members: dict[tuple[str, str], str] = field(default_factory=dict)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    deployment_statuses: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    sarifs: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    asked_tokens: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""

    def user(self, login: str) -> dict[str, Any]:
        schema = answer_schema("/repos/{owner}/{repo}/issues/{issue_number}/comments", "post", 201)
        kind = "Bot" if login.endswith("[bot]") else "User"
        made: dict[str, Any] = filled(property_schema(schema, "user"), login=login, type=kind)
        return made

    def say(self, login: str, body: str) -> None:
        """A comment by somebody."""
        schema = answer_schema("/repos/{owner}/{repo}/issues/{issue_number}/comments", "post", 201)
        made = filled(schema, id=len(self.comments) + 1, body=body, user=self.user(login))
        self.comments.append(made)


Answer = tuple[int, Any]


def _page(hub: Hub, items: list[Any], query: Mapping[str, str]) -> list[Any]:
    size, page = int(query.get("per_page", "30")), int(query.get("page", "1"))
    return items[(page - 1) * size : page * size]


def _user(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    if hub.who is Who.APP:
        return 403, {"message": "Resource not accessible by integration"}
    schema = answer_schema("/user", "get", 200)
    return 200, filled(schema, login=str(hub.who), type="User", user_view_type="private")


def _membership(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    state = hub.members.get((f"{parts['org']}/{parts['team_slug']}", parts["username"]))
    if state is None:
        return 404, {"message": "Not Found"}
    schema = answer_schema("/orgs/{org}/teams/{team_slug}/memberships/{username}", "get", 200)
    return 200, filled(schema, state=state, role="member")


def _installation(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    granted = {"metadata": "read", "contents": "write", "checks": "write", "pull_requests": "write"}
    return 200, filled(answer_schema("/repos/{owner}/{repo}/installation", "get", 200), id=77, permissions=granted)


def _access_token(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    hub.asked_tokens.append(body or {})
    schema = answer_schema("/app/installations/{installation_id}/access_tokens", "post", 201)
    return 201, filled(schema, token=f"ghs-{parts['installation_id']}", expires_at="2099-01-01T00:00:00Z")


def _check_run(hub: Hub, made: dict[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    sent = body.get("output", {}).get("annotations", [])
    if len(sent) > 50:
        hub.complaints.append(f"{len(sent)} annotations at once")
    kept = hub.annotations.setdefault(made["id"], [])
    kept += sent
    said = {key: value for key, value in body.items() if key != "output"}
    output = {**made["output"], **{key: body["output"][key] for key in ("title", "summary") if "output" in body}}
    made.update({**said, "output": {**output, "annotations_count": len(kept)}})
    return made


def _make_check(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    if hub.who is Who.PERSON:
        return 403, {"message": "You must authenticate via a GitHub App."}
    made = filled(answer_schema("/repos/{owner}/{repo}/check-runs", "post", 201), id=len(hub.check_runs) + 1)
    made["output"] = {"title": None, "summary": None, "text": None, "annotations_count": 0, "annotations_url": _HOST}
    hub.check_runs.append(made)
    return 201, _check_run(hub, made, body)


def _change_check(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    made = next((run for run in hub.check_runs if run["id"] == int(parts["check_run_id"])), None)
    return (200, _check_run(hub, made, body)) if made else (404, {"message": "Not Found"})


def _checks_of(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    found = [run for run in hub.check_runs if run["head_sha"] == parts["ref"]]
    found = [run for run in found if query.get("check_name") in (None, run["name"])]
    return 200, {"total_count": len(found), "check_runs": _page(hub, found, query)}


def _make_status(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    hub.statuses.append({**body, "sha": parts["sha"]})
    return 201, filled(answer_schema("/repos/{owner}/{repo}/statuses/{sha}", "post", 201), **body)


def _label(name: str) -> dict[str, Any]:
    schema = answer_schema("/repos/{owner}/{repo}/issues/{issue_number}/labels", "get", 200)["items"]
    made: dict[str, Any] = filled(schema, name=name)
    return made


def _labels(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    return 200, [_label(name) for name in _page(hub, hub.labels, query)]


def _add_labels(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    hub.labels += [name for name in body["labels"] if name not in hub.labels]
    return 200, [_label(name) for name in hub.labels]


def _remove_label(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    if parts["name"] not in hub.labels:
        return 404, {"message": "Label does not exist"}
    hub.labels.remove(parts["name"])
    return 200, [_label(name) for name in hub.labels]


def _comments(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    return 200, _page(hub, hub.comments, query)


def _make_comment(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    hub.say(hub.who, body["body"])
    return 201, hub.comments[-1]


def _change_comment(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    made = next(comment for comment in hub.comments if comment["id"] == int(parts["comment_id"]))
    made["body"] = body["body"]
    return 200, made


def _deployments(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    wanted = {key: query[key] for key in ("sha", "environment", "task") if key in query}
    found = [made for made in hub.deployments if all(made[key] == value for key, value in wanted.items())]
    return 200, _page(hub, found, query)


def _make_deployment(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    kept = {key: body[key] for key in ("ref", "task", "environment", "payload", "description")}
    schema = answer_schema("/repos/{owner}/{repo}/deployments", "post", 201)
    hub.deployments.append(filled(schema, id=len(hub.deployments) + 1, sha=body["ref"], **kept))
    return 201, hub.deployments[-1]


def _states(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    return 200, _page(hub, hub.deployment_statuses.get(int(parts["deployment_id"]), []), query)


def _make_state(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    schema = answer_schema("/repos/{owner}/{repo}/deployments/{deployment_id}/statuses", "post", 201)
    made = filled(schema, state=body["state"], description=body.get("description", ""))
    hub.deployment_statuses.setdefault(int(parts["deployment_id"]), []).insert(0, made)
    return 201, made


def _upload(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    hub.sarifs.append(body)
    return 202, {"id": "47177e22-5596-11eb-80a1-c1e54ef945c6", "url": f"{_HOST}/x"}


def _processed(hub: Hub, parts: Mapping[str, str], query: Mapping[str, str], body: Any) -> Answer:
    return 200, {"processing_status": "complete"}


_ROUTES: Mapping[tuple[str, str], Callable[[Hub, Mapping[str, str], Mapping[str, str], Any], Answer]] = {
    ("GET", "/user"): _user,
    ("GET", "/orgs/{org}/teams/{team_slug}/memberships/{username}"): _membership,
    ("POST", "/app/installations/{installation_id}/access_tokens"): _access_token,
    ("GET", "/repos/{owner}/{repo}/installation"): _installation,
    ("POST", "/repos/{owner}/{repo}/check-runs"): _make_check,
    ("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}"): _change_check,
    ("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs"): _checks_of,
    ("POST", "/repos/{owner}/{repo}/statuses/{sha}"): _make_status,
    ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/labels"): _labels,
    ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels"): _add_labels,
    ("DELETE", "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}"): _remove_label,
    ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments"): _comments,
    ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments"): _make_comment,
    ("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}"): _change_comment,
    ("GET", "/repos/{owner}/{repo}/deployments"): _deployments,
    ("POST", "/repos/{owner}/{repo}/deployments"): _make_deployment,
    ("GET", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses"): _states,
    ("POST", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses"): _make_state,
    ("POST", "/repos/{owner}/{repo}/code-scanning/sarifs"): _upload,
    ("GET", "/repos/{owner}/{repo}/code-scanning/sarifs/{sarif_id}"): _processed,
}
_TEMPLATES = {path: re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "$") for path in PATHS}


def _matched(path: str) -> tuple[str, dict[str, str]]:
    for template, pattern in _TEMPLATES.items():
        if found := pattern.match(path):
            return template, {name: unquote(value) for name, value in found.groupdict().items()}
    return "", {}


def _answered(hub: Hub, method: str, address: str, content: bytes) -> Answer:
    """What GitHub would answer, after a look whether it would take the request at all."""
    path, query = urlsplit(address).path, dict(parse_qsl(urlsplit(address).query))
    template, parts = _matched(path)
    route = _ROUTES.get((method, template))
    if route is None:
        hub.complaints.append(f"nobody answers {method} {path}")
        return 404, {"message": "Not Found"}
    request = MockRequest(_HOST, method.lower(), path, args=query, view_args=parts, data=content or None)
    try:
        contract().validate_request(request)
    except OpenAPIError as wrong:
        hub.complaints.append(f"{method} {path}: {wrong} {wrong.__cause__ or ''}")
        return 422, {"message": "Validation Failed"}
    status, body = route(hub, parts, query, json.loads(content) if content else None)
    if status < 400:
        try:
            contract().validate_response(request, MockResponse(json.dumps(body).encode(), status_code=status))
        except OpenAPIError as wrong:
            hub.complaints.append(f"the answer to {method} {path}: {wrong} {wrong.__cause__ or ''}")
    return status, body


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def _do(self) -> None:
        hub, content = self.hub, self.rfile.read(int(self.headers.get("content-length") or 0))
        hub.asked.append((self.command, urlsplit(self.path).path))
        hub.tokens.append(self.headers.get("authorization", ""))
        fault = next((one for one in hub.faults if one.method == self.command and self._ends(one.ending)), None)
        status, body = (200, None) if fault and not fault.is_done else self._act(content)
        if fault:
            hub.faults.remove(fault)
            self._fail(fault, status, body)
        else:
            self._send(status, json.dumps(body).encode(), {})

    do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815  (the names http.server calls)

    def _act(self, content: bytes) -> Answer:
        with _LOCK:
            return _answered(self.hub, self.command, self.path, content)

    def _ends(self, ending: str) -> bool:
        return urlsplit(self.path).path.endswith(ending)

    def _fail(self, fault: Fault, status: int, body: Any) -> None:
        if fault.is_dropped:
            self.close_connection = True
            self.connection.close()
        elif fault.is_cut:
            self._send(status, json.dumps(body if body is not None else {"id": 1}).encode()[:5], {})
        else:
            self._send(fault.status, json.dumps({"message": fault.message}).encode(), fault.headers)

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers, **self._next_page(content)}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _next_page(self, content: bytes) -> dict[str, str]:
        """GitHub names the next page wherever this one is full."""
        query = dict(parse_qsl(urlsplit(self.path).query))
        if "per_page" not in query or len(_items(content)) < int(query["per_page"]):
            return {}
        following = f"{self.hub.address}{urlsplit(self.path).path}?page={int(query['page']) + 1}"
        return {"link": f'<{following}>; rel="next"'}

    def log_message(self, *words: object) -> None:
        """Nobody reads it."""


def _items(content: bytes) -> list[Any]:
    try:
        read = json.loads(content)
    except ValueError:
        return []
    lists = [read] if isinstance(read, list) else [value for value in read.values() if isinstance(value, list)]
    return lists[0] if lists else []


_LOCK = threading.Lock()


@contextmanager
def hub(who: Who = Who.APP) -> Iterator[Hub]:
    contract()
    made = Hub(who=who)
    handler = type("Handler", (_Handler,), {"hub": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        made.address = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()
        thread.join()
