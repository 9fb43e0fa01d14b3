"""SARIF reports for tests, and the published schema."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator

_SCHEMA = Path(__file__).parents[1] / "assets" / "security" / "sarif-schema-2.1.0.json"
RULE = {
    "id": "py/injection",
    "shortDescription": {"text": "Command injection"},
    "helpUri": "https://example.org/injection",
    "properties": {"security-severity": "9.8", "tags": ["security", "external/cwe/cwe-078"]},
}


@cache
def schema() -> Draft4Validator:
    return Draft4Validator(json.loads(_SCHEMA.read_text()))


def result(**more: Any) -> dict[str, Any]:
    return {"ruleId": "py/injection", "message": {"text": "a user's text"}, "locations": [at("app/a.py")], **more}


def at(uri: str, line: int = 9, **more: Any) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": uri, **more}, "region": {"startLine": line}}}


def report(*results: dict[str, Any], rules: tuple[dict[str, Any], ...] = (RULE,), **more: Any) -> dict[str, Any]:
    run = {"tool": {"driver": {"name": "tool", "rules": list(rules)}}, "results": list(results), **more}
    return {"version": "2.1.0", "runs": [run]}
