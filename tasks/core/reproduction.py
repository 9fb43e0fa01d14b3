"""The command a person types to see what a check saw, without Towpath's own caches and report files."""

import shlex

from tasks.core.plan import CheckKind, PlannedCheck
from tasks.core.projects import Manager

_COMMANDS = {
    "black": ("black", "--check", "."),
    "ruff": ("ruff", "check", "."),
    "ruff-format": ("ruff", "format", "--check", "."),
    "eslint": ("npx", "eslint", "."),
    "biome": ("npx", "biome", "ci", "."),
    "vitest": ("npx", "vitest", "run"),
    "jest": ("npx", "jest"),
}


def reproduce(check: PlannedCheck, manager: Manager | None) -> str:
    """One line for a shell, from the target's root."""
    step = f"cd {shlex.quote(check.folder)} && " if check.folder != "." else ""
    return step + shlex.join((*_prefix(check, manager), *_words(check)))


def _prefix(check: PlannedCheck, manager: Manager | None) -> tuple[str, ...]:
    runs_python = check.tool in ("black", "ruff", "ruff-format", "mypy", "pytest")
    runners = {Manager.UV: ("uv", "run"), Manager.POETRY: ("poetry", "run"), Manager.PDM: ("pdm", "run")}
    return runners.get(manager, ()) if runs_python and manager and check.environment else ()


def _words(check: PlannedCheck) -> tuple[str, ...]:
    if check.kind is CheckKind.IMAGE and check.image:
        folder = f"{check.folder}/" if check.folder != "." else ""
        return ("docker", "buildx", "build", "-f", check.image.dockerfile.removeprefix(folder), ".")
    match check.tool:
        case "tsc":
            return ("npx", "tsc", *check.options.get("tsc", ()), "--noEmit")
        case "mypy":
            return ("mypy", *check.options.get("mypy", ()))
        case "pytest":
            return ("pytest", *check.options.get("pytest", ()))
        case "script":
            return ("npm", "run", *check.options.get("script", ()))
        case "own":
            return check.options.get("command", ())
        case tool:
            return _COMMANDS.get(tool, (tool,))
