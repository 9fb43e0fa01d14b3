"""The checks of Node projects: lint, types, tests, build."""

import re
import shlex
from dataclasses import replace
from itertools import groupby

from tasks.core.backend_checks import other_folders
from tasks.core.environments import Environment, node_environment, runner
from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import Inputs, PlannedCheck
from tasks.core.projects import COVERAGE_PROVIDERS, Discovery, Frontend
from tasks.core.settings import Settings

_PLACEHOLDER = "no test specified"
_BROWSER = re.compile(r"\b(playwright|cypress|wdio|nightwatch|puppeteer)\b")
# How a workspace's root hands a script on to its members, which have checks of their own.
_HANDED_ON = re.compile(
    r"\b(turbo|nx|lerna)\b|\s(--filter|--workspaces?|--recursive|-r|-w|-ws|--parallel)\b|workspaces? foreach"
)


def plan_frontends(discovery: Discovery, settings: Settings) -> tuple[list[Environment], list[PlannedCheck]]:
    """Environments, one per lock file, and the checks of every Node project."""
    projects = sorted(discovery.frontends, key=lambda project: (project.root, project.path))
    environments = [node_environment(tuple(found)) for _, found in groupby(projects, key=lambda project: project.root)]
    return environments, [check for project in projects for check in _checks(project, discovery, settings)]


def _checks(project: Frontend, discovery: Discovery, settings: Settings) -> list[PlannedCheck]:
    room = (
        "frontend" if len(discovery.frontends) == 1 else f"frontend/{project.path if project.path != '.' else 'root'}"
    )
    base = PlannedCheck(
        id=room,
        folder=project.path,
        environment=f"node:{project.root}",
        inputs=Inputs(without=other_folders(project.path, discovery)),
        timeout_seconds=settings.run.check_timeout_seconds,
    )
    return [_lint(project, base), _types(project, base), _tests(project, base), _build(project, base)]


def _settled(base: PlannedCheck, name: str, reason: str, remedy: str) -> PlannedCheck:
    return replace(base, id=f"{base.id}/{name}", tool=name, settled=Outcome(Verdict.SKIPPED, reason, remedy=remedy))


def _lint(project: Frontend, base: PlannedCheck) -> PlannedCheck:
    if not project.linter:
        return _settled(base, "eslint", "no configuration of ESLint or Biome", "npm init @eslint/config")
    options = {"eslint": project.linter_options, "eslint-cache": ("yes",) if project.can_cache_lint else ()}
    package = "@biomejs/biome" if project.linter == "biome" else project.linter
    return replace(
        base,
        id=f"{base.id}/{project.linter}",
        tool=project.linter,
        why=f"{project.linter} is configured",
        options=options,
        version=project.locked.get(package, ""),
        is_declared=package in project.dependencies,
    )


def _types(project: Frontend, base: PlannedCheck) -> PlannedCheck:
    if not project.has_tsconfig:
        return _settled(base, "typescript", "no tsconfig.json", "npx tsc --init")
    options = {"tsc": project.tsc}
    version, is_declared = project.locked.get("typescript", ""), "typescript" in project.dependencies
    check = replace(base, id=f"{base.id}/typescript", tool="tsc", why="tsconfig.json", options=options)
    return replace(check, version=version, is_declared=is_declared)


def _why_not_script(script: str) -> tuple[str, str] | None:
    """The reason and remedy for leaving a script alone, where there is one."""
    if _HANDED_ON.search(script):
        return "it only hands on to the workspace's members, which have checks of their own", "nothing"
    if _BROWSER.search(script):
        return f"browser tests ({script}) need a running service", "add an own check with a command that starts it"
    return None


def _tests(project: Frontend, base: PlannedCheck) -> PlannedCheck:
    script = project.scripts.get("test", "")
    if left := _why_not_script(script):
        return _settled(base, "test", *left)
    check = replace(base, id=f"{base.id}/test", why=f"script test: {script}" if script else "a dependency")
    for tool in ("vitest", "jest"):
        if tool in project.dependencies and (tool in script or not script):
            is_measured = tool == "vitest" and bool(COVERAGE_PROVIDERS & project.dependencies)
            options = {"test": _runner_options(script, tool)} | ({"coverage": ("yes",)} if is_measured else {})
            return replace(check, tool=tool, options=options, version=project.locked.get(tool, ""), is_declared=True)
    if script and _PLACEHOLDER not in script:
        return replace(check, tool="script", program=_runner(project), options={"script": ("test",)})
    return _settled(base, "test", "no test script and no known test runner", "add a script test to package.json")


def _runner_options(script: str, tool: str) -> tuple[str, ...]:
    """What a plain `vitest run --dir x` script passes on, so that the team's choice of tests stays theirs."""
    words = shlex.split(script) if script.startswith(f"{tool} ") and not set(script) & set(";&|<>$`") else []
    return tuple(word for word in words[1:] if word not in ("run", "--run", "watch", "--watch", "--watchAll"))


def _build(project: Frontend, base: PlannedCheck) -> PlannedCheck:
    script = project.scripts.get("build", "")
    if not script:
        return _settled(base, "build", "no build script in package.json", "add a script build to package.json")
    if left := _why_not_script(script):
        return _settled(base, "build", *left)
    check = replace(base, id=f"{base.id}/build", tool="script", why=f"script build: {script}")
    return replace(check, program=_runner(project), options={"script": ("build",)})


def _runner(project: Frontend) -> tuple[str, ...]:
    return runner(project.manager, project.manager_version)
