"""What the guard in a cluster may do, as the documentation hands it out."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core.cluster.guard_rights import guard_role, guard_rules

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "kubernetes.md"


def _rules() -> list[dict[str, Any]]:
    return [dict(rule) for rule in guard_rules([("shop", "staging"), ("shop", "production")])]


def test_documented() -> None:
    """The Role in the documentation is the one that is tried on a cluster."""
    shown = DOCUMENTATION.read_text().partition("```yaml\napiVersion: rbac")[2].partition("```")[0]
    assert yaml.safe_load("apiVersion: rbac" + shown) == guard_role(
        "towpath-guard", "shop-production", [("shop", "production")]
    )


@pytest.mark.parametrize("part", ["apiGroups", "resources", "verbs"])
def test_no_wildcard(part: str) -> None:
    """No rule says everything of anything."""
    assert not [rule for rule in _rules() if any("*" in each for each in rule[part])]


def test_secrets_by_name() -> None:
    """Secrets are read by the names of manifests alone, of every environment that is there."""
    (rule,) = [rule for rule in _rules() if "secrets" in rule["resources"]]
    assert rule["verbs"] == ["get"]
    assert rule["resourceNames"] == [
        f"towpath-manifests-shop-{environment}-{number}"
        for environment in ("production", "staging")
        for number in range(3)
    ]
