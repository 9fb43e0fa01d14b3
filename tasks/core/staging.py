"""Which tools look at which staged files: format, lint and security, the quick checks of the same table as CI."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tasks.core.discovery import wanted_texts
from tasks.core.environments import EnvironmentKind
from tasks.core.projects import Backend, Discovery, Frontend, Texts, is_within, joined
from tasks.core.settings import Settings

_PYTHON, _SCRIPTS = (".py", ".pyi"), (".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".mts", ".cts")
_PRETTY = (*_SCRIPTS, ".css", ".scss", ".less", ".html", ".vue", ".svelte", ".json", ".md", ".mdx", ".yaml", ".yml")
_CONFIGURATION = re.compile(
    r"(^|/)(\.prettierrc[\w.]*|prettier\.config\.\w+|\.prettierignore|\.eslintignore|\.editorconfig|\.gitignore|\.bandit"
    r"|\.secrets\.baseline|tsconfig[\w.-]*\.json)$"
)
BASELINE = ".secrets.baseline"


@dataclass(frozen=True, kw_only=True)
class StagedCheck:
    """One tool over some staged files. `environments` are folders, below the repository, where it may be installed."""

    id: str
    tool: str
    folder: str
    paths: tuple[str, ...]
    kind: EnvironmentKind = EnvironmentKind.PYTHON
    environments: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    version: str = ""
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    timeout_seconds: float = 300.0


def staged_configuration(files: Iterable[str]) -> list[str]:
    """The files that tools and planning read beside the staged ones; lock files are read by planning too."""
    known = list(files)
    return sorted({*wanted_texts(known), *[path for path in known if _CONFIGURATION.search(path)]})


def plan_staged(
    staged: tuple[str, ...], texts: Texts, discovery: Discovery, settings: Settings
) -> tuple[StagedCheck, ...]:
    """The checks that concern these paths; a tool that is switched off in the configuration stays off."""
    python = [
        check for project in discovery.backends for check in _backend(project, _own(project.path, staged, discovery))
    ]
    node = [
        check
        for project in discovery.frontends
        for check in _frontend(project, _own(project.path, staged, discovery), texts)
    ]
    wanted = [check for check in (*python, *node, *_security(staged, texts)) if not _is_off(check, settings)]
    return tuple(replace(check, paths=tuple(_no_option(path) for path in check.paths)) for check in wanted)


def _no_option(path: str) -> str:
    """A file whose name begins with a dash must not become an option of the tool that looks at it."""
    return f"./{path}" if path.startswith("-") else path


def _own(folder: str, staged: tuple[str, ...], discovery: Discovery) -> list[str]:
    """Staged paths of a project, relative to it: those below it that no deeper project of its kind owns."""
    folders = {project.path for project in discovery.backends} | {project.path for project in discovery.frontends}
    deeper = [other for other in folders if other != folder and is_within(other, folder)]
    mine = [path for path in staged if is_within(path, folder) and not any(is_within(path, other) for other in deeper)]
    return [path if folder == "." else path.removeprefix(f"{folder}/") for path in mine]


def _backend(project: Backend, paths: list[str]) -> list[StagedCheck]:
    files = tuple(path for path in paths if path.endswith(_PYTHON))
    tools = [tool for tool in ("black", "ruff-format", "ruff") if tool in project.adopted and files]
    return [
        StagedCheck(
            id=f"{_room('backend', project.path)}/{tool}",
            tool=tool,
            folder=project.path,
            paths=files,
            environments=(joined(project.root, ".venv"),),
            version=_version(project, "ruff" if tool == "ruff-format" else tool),
            options={"ruff": ("--force-exclude",)},
        )
        for tool in tools
    ]


def _version(project: Backend, package: str) -> str:
    return project.locked.get(package) or project.hooked.get(package, "")


def _frontend(project: Frontend, paths: list[str], texts: Texts) -> list[StagedCheck]:
    scripts = tuple(path for path in paths if path.endswith(_SCRIPTS))
    pretty = tuple(path for path in paths if path.endswith(_PRETTY)) if _uses_prettier(project, texts) else ()
    wanted = [(project.linter, scripts), ("prettier", pretty)]
    return [
        StagedCheck(
            id=f"{_room('frontend', project.path)}/{tool}",
            tool=tool,
            folder=project.path,
            paths=files,
            kind=EnvironmentKind.NODE,
            environments=tuple(dict.fromkeys((project.path, project.root))),
            modules=tuple(dict.fromkeys((project.path, project.root))),
        )
        for tool, files in wanted
        if tool and files
    ]


def _uses_prettier(project: Frontend, texts: Texts) -> bool:
    names = [path for path in texts.files if "prettier" in path.rpartition("/")[2]]
    return "prettier" in project.dependencies and any(
        is_within(project.path, name.rpartition("/")[0] or ".") for name in names
    )


def _security(staged: tuple[str, ...], texts: Texts) -> list[StagedCheck]:
    python = tuple(path for path in staged if path.endswith(".py"))
    configured = "[tool.bandit" in texts.at(".", "pyproject.toml")
    bandit = (
        ("--configfile", "pyproject.toml")
        if configured
        else ("--severity-level", "medium", "--confidence-level", "medium")
    )
    baseline = ("--baseline", BASELINE) if texts.has(".", BASELINE) else ()
    others = tuple(path for path in staged if path != BASELINE)
    checks = [
        StagedCheck(id="security/bandit", tool="bandit", folder=".", paths=python, options={"bandit": bandit}),
        StagedCheck(
            id="security/detect-secrets",
            tool="detect-secrets-hook",
            folder=".",
            paths=others,
            options={"detect-secrets": baseline},
        ),
    ]
    return [check for check in checks if check.paths]


def _room(room: str, folder: str) -> str:
    return room if folder == "." else f"{room}/{folder}"


def _is_off(check: StagedCheck, settings: Settings) -> bool:
    name = check.id.rpartition("/")[2]
    return any(chosen.enabled is False for key, chosen in settings.checks.items() if key in (check.id, name))
