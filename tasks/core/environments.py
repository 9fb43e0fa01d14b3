"""How a project's dependencies get installed: the commands, in order, and what their result depends on.

An environment is named by everything that went into it, so that the same lock file never installs twice and a changed
one never reuses the old. Commands are argument lists with `{venv}`, `{tree}` and `{uv}` to be filled in by whoever
runs them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tasks.core.projects import Backend, Frontend, Manager, joined

POETRY, POETRY_EXPORT, PDM = "poetry==2.5.1", "poetry-plugin-export==1.10.1", "pdm==2.29.4"
_NODE_RUNNERS = {
    Manager.PNPM: ("pnpm", "10.20.0"),
    Manager.YARN: ("@yarnpkg/cli-dist", "4.10.3"),
    Manager.YARN_CLASSIC: ("yarn", "1.22.22"),
    Manager.BUN: ("bun", "1.3.2"),
}
# What a package's build asks git for; a snapshot has no history, and the version is nothing a check looks at.
_VERSION_WITHOUT_GIT = {
    "SETUPTOOLS_SCM_PRETEND_VERSION": "0.0.0",
    "PDM_BUILD_SCM_VERSION": "0.0.0",
    "PBR_VERSION": "0.0.0",
    "POETRY_DYNAMIC_VERSIONING_BYPASS": "0.0.0",
}


class EnvironmentKind(StrEnum):
    PYTHON = "python"
    NODE = "node"


@dataclass(frozen=True)
class Step:
    argv: tuple[str, ...]
    variables: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One environment to build.

    `root` is the folder it belongs to, `folders` those of the projects that use it, `tools` the packages (name,
    version) Towpath adds when they are absent.
    """

    id: str
    kind: EnvironmentKind
    root: str
    manager: Manager
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    folders: tuple[str, ...]
    tools: tuple[tuple[str, str], ...] = ()

    def fingerprint(self, files: Mapping[str, str], *, machine: str) -> str:
        """Hash over the inputs' content (path -> hash), the commands, and what `machine` says of the platform."""
        content = {path: files[path] for path in self.inputs if path in files}
        steps = [(step.argv, dict(step.variables)) for step in self.steps]
        return digest([self.id, self.kind, content, steps, self.tools, machine])


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode("utf-8", "surrogateescape")).hexdigest()


def python_environment(backends: Iterable[Backend], *, python: str, tools: Iterable[tuple[str, str]]) -> Environment:
    """The environment of the projects that share a root."""
    projects = tuple(backends)
    first = projects[0]
    return Environment(
        id=f"python:{first.root}",
        kind=EnvironmentKind.PYTHON,
        root=first.root,
        manager=first.manager,
        steps=_python_steps(projects, python),
        inputs=_python_inputs(projects),
        folders=tuple(project.path for project in projects),
        tools=tuple(tools),
    )


def _python_inputs(projects: tuple[Backend, ...]) -> tuple[str, ...]:
    names = ("pyproject.toml", "setup.py", "setup.cfg", ".python-version")
    folders = {projects[0].root, *(project.path for project in projects)}
    manifests = {joined(folder, name) for folder in folders for name in names}
    locks = {project.lock for project in projects if project.lock}
    return tuple(sorted(manifests | locks | {path for project in projects for path in project.requirements}))


def _python_steps(projects: tuple[Backend, ...], python: str) -> tuple[Step, ...]:
    first = projects[0]
    ask = ("--python", python) if python else ()
    groups = tuple(sorted({name for project in projects for name in project.groups}))
    extras = tuple(sorted({name for project in projects for name in project.extras}))
    make_venv = Step(("{uv}", "venv", "--no-project", "{venv}", *(ask or _project_python(first))), {})
    match first.manager:
        case Manager.UV:
            return (_uv_sync(projects, groups, extras, ask),)
        case Manager.POETRY:
            return (make_venv, *_poetry(first))
        case Manager.PDM:
            return make_venv, _pdm()
        case Manager.REQUIREMENTS:
            return make_venv, _pip_install(_requirement_files(first))
        case _:
            return make_venv, _pip_install(_editable(first, groups, extras))


def _project_python(project: Backend) -> tuple[str, ...]:
    return ("--python", project.requires_python) if project.requires_python else ()


def _uv_sync(projects: tuple[Backend, ...], groups: Iterable[str], extras: Iterable[str], ask: tuple[str, ...]) -> Step:
    members = ("--all-packages",) if len(projects) > 1 or projects[0].path != projects[0].root else ()
    wanted = [part for name in groups for part in ("--group", name)] + [
        part for name in extras for part in ("--extra", name)
    ]
    argv = ("{uv}", "sync", "--frozen", *members, *wanted, *ask)
    return Step(argv, {"UV_PROJECT_ENVIRONMENT": "{venv}", **_VERSION_WITHOUT_GIT})


def _poetry(project: Backend) -> tuple[Step, ...]:
    """The lock file written out as requirements and installed by uv, which needs no more of an index than pip does."""
    wanted = ("{uv}", "tool", "run", "--from", POETRY, "--with", POETRY_EXPORT, "poetry", "export")
    listed = "{venv}/towpath-requirements.txt"
    export = Step((*wanted, "--all-groups", "--all-extras", "--output", listed), {})
    install = _pip_install(("--no-deps", "--requirements", listed))
    return (
        (export, install, _pip_install(("--no-deps", "--editable", "."))) if project.is_package else (export, install)
    )


def _pdm() -> Step:
    argv = ("{uv}", "tool", "run", "--from", PDM, "pdm", "sync", "--no-self")
    variables = {"VIRTUAL_ENV": "{venv}", "PDM_CHECK_UPDATE": "0", "PDM_USE_VENV": "1", "PDM_IGNORE_SAVED_PYTHON": "1"}
    return Step(argv, {**variables, **_VERSION_WITHOUT_GIT})


def _pip_install(what: tuple[str, ...]) -> Step:
    return Step(("{uv}", "pip", "install", "--python", "{venv}", *what), dict(_VERSION_WITHOUT_GIT))


def _requirement_files(project: Backend) -> tuple[str, ...]:
    return tuple(part for path in project.requirements for part in ("-r", f"{{tree}}/{path}"))


def _editable(project: Backend, groups: tuple[str, ...], extras: tuple[str, ...]) -> tuple[str, ...]:
    asked = f"[{','.join(extras)}]" if extras else ""
    chosen = tuple(part for name in groups for part in ("--group", name))
    files = () if groups or extras else _requirement_files(project)
    return ("--editable", f".{asked}", *chosen, *files)


def node_environment(frontends: Iterable[Frontend]) -> Environment:
    """The environment of the projects that share a root."""
    projects = tuple(frontends)
    first = projects[0]
    folders = {first.root, *(project.path for project in projects)}
    names = ("package.json", ".npmrc", ".yarnrc.yml", ".yarnrc", "pnpm-workspace.yaml", ".pnpmfile.cjs", "bunfig.toml")
    inputs = {joined(folder, name) for folder in folders for name in names} | ({first.lock} if first.lock else set())
    return Environment(
        id=f"node:{first.root}",
        kind=EnvironmentKind.NODE,
        root=first.root,
        manager=first.manager,
        steps=(Step((*runner(first.manager, first.manager_version), *_node_install(first)), _node_variables(first)),),
        inputs=tuple(sorted(inputs)),
        folders=tuple(project.path for project in projects),
    )


def runner(manager: Manager, version: str) -> tuple[str, ...]:
    """How a package manager is called: npm as it is, the others in the version the project names, else a pinned one."""
    if manager is Manager.NPM:
        return ("npm",)
    package, pinned = _NODE_RUNNERS[manager]
    return ("npx", "--yes", f"{package}@{version or pinned}")


def _node_install(project: Frontend) -> tuple[str, ...]:
    if project.lock is None:
        return ("install", "--no-package-lock", "--no-audit", "--no-fund")
    match project.manager:
        case Manager.NPM:
            return ("ci", "--no-audit", "--no-fund")
        case Manager.YARN:
            return ("install", "--immutable")
        case _:
            return ("install", "--frozen-lockfile")


def _node_variables(project: Frontend) -> dict[str, str]:
    quiet = {"HUSKY": "0", "npm_config_update_notifier": "false", "CI": "true"}
    return (
        {**quiet, "YARN_NODE_LINKER": "node-modules", "YARN_ENABLE_TELEMETRY": "0"}
        if project.manager is Manager.YARN
        else quiet
    )
