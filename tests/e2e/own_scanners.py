"""A target that only scanners of its own look at, so that nothing has to be installed for a scan of it."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.adapters.real_git import git

_OTHERS = ("gitleaks-tree", "gitleaks-history", "detect-secrets", "bandit", "trivy-fs")


def sarif(*messages: str) -> str:
    """A report with one error for each message, fit for a shell's single quotes."""
    results = [{"ruleId": "R1", "level": "error", "message": {"text": text}} for text in messages]
    runs = [{"tool": {"driver": {"name": "own", "rules": []}}, "results": results}]
    return json.dumps({"version": "2.1.0", "runs": runs})


def make_scanned(place: Path, scanners: Mapping[str, str], *, block_on: str = "critical", more: str = "") -> Path:
    """A repository at `place` whose scanners are these shell commands, by name."""
    disabled = "\n".join(f'{name} = "not asked here"' for name in _OTHERS)
    tables = "\n".join(
        f'[scanners.{name}]\ncommand = ["sh", "-c", {json.dumps(command)}]\nsarif = "-"\ncategory = "code"\n'
        for name, command in scanners.items()
    )
    place.mkdir()
    (place / "towpath.toml").write_text(
        f'name = "held"\n[security]\nblock_on = "{block_on}"\n[security.disabled]\n{disabled}\n{tables}{more}'
    )
    git(place, "init", "-q", "-b", "main")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "one")
    return place
