"""bandit and detect-secrets, as the pre-commit hook runs them on a handful of staged files.

bandit exits 0 although it could not parse a file and says so only in `errors`; that is no clean result.
"""

import json

from tasks.core.tools.contract import (
    CLEAN_OR_FINDINGS,
    Ecosystem,
    Invocation,
    Meaning,
    Output,
    Problem,
    Reading,
    Tool,
    Unreadable,
)

# What the hook says, with exit code 3, once it has put new line numbers into the copy of the baseline it was given.
_MOVED = "The baseline file was updated."


def read_bandit(output: Output) -> Reading:
    try:
        report = json.loads(output.stdout)
        errors = [f"{row['filename']}: {row['reason']}" for row in report["errors"]]
        problems = tuple(
            Problem(row["filename"], row["line_number"], None, row["issue_text"], row["test_id"])
            for row in report["results"]
        )
        looked_at = len([name for name in report["metrics"] if name != "_totals"])
    except (ValueError, KeyError, TypeError) as broken:
        raise Unreadable("its JSON report cannot be read") from broken
    if errors:
        raise Unreadable(f"it could not look at {errors[0]}")
    if not looked_at:
        raise Unreadable("it looked at no file")
    return Reading(problems, looked_at, f"{looked_at} files looked at")


def read_detect_secrets(output: Output) -> Reading:
    """Reading of `detect-secrets-hook --json`, whose report is empty on a clean run; it holds hashes, never values."""
    text = output.stdout.strip()
    if not text or text.startswith(_MOVED):
        return Reading((), 1, "no secrets")
    try:
        found = json.loads(text)["results"]
        problems = tuple(
            Problem(path, row["line_number"], None, f"possible secret: {row['type']}", "detect-secrets")
            for path, rows in found.items()
            for row in rows
        )
    except (ValueError, KeyError, TypeError) as broken:
        raise Unreadable("its JSON report cannot be read") from broken
    return Reading(problems, 1, f"{len(problems)} possible secrets")


def _bandit_arguments(invocation: Invocation) -> tuple[str, ...]:
    return ("--quiet", "--format", "json", *invocation.option("bandit"), *invocation.paths)


def _detect_secrets_arguments(invocation: Invocation) -> tuple[str, ...]:
    return ("--json", "--no-verify", *invocation.option("detect-secrets"), *invocation.paths)


BANDIT = Tool(
    name="bandit",
    ecosystem=Ecosystem.PYTHON,
    package="bandit",
    version="1.9.4",
    exits=CLEAN_OR_FINDINGS,
    arguments=_bandit_arguments,
    read=read_bandit,
)
DETECT_SECRETS = Tool(
    name="detect-secrets-hook",
    ecosystem=Ecosystem.PYTHON,
    package="detect-secrets",
    version="1.5.0",
    exits={**CLEAN_OR_FINDINGS, 3: Meaning.RAN},
    arguments=_detect_secrets_arguments,
    read=read_detect_secrets,
)
