"""The checks of Python projects: formatting, linting, types, tests, smoke tests, coverage."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import groupby

from tasks.core.environments import Environment, python_environment
from tasks.core.outcome import Outcome, Verdict
from tasks.core.plan import CheckKind, Inputs, PlannedCheck
from tasks.core.projects import Backend, Discovery, is_within
from tasks.core.settings import Settings
from tasks.core.tools.testing_python import PYTEST, PYTEST_COVERAGE_VERSION
from tasks.core.tools.typing_python import MYPY

# Markdown because newer ruff formats the Python in it.
_SOURCES = (".py", ".pyi", ".ipynb", ".md", ".toml", ".cfg", ".ini", ".gitignore")


def plan_backends(discovery: Discovery, settings: Settings) -> tuple[list[Environment], list[PlannedCheck]]:
    """Environments, one per lock file or project, and the checks of every Python project."""
    projects = sorted(_configured(discovery.backends, settings), key=lambda project: (project.root, project.path))
    environments = [
        python_environment(group, python=settings.backend.python, tools=_tools(group, settings))
        for group in (tuple(found) for _, found in groupby(projects, key=lambda project: project.root))
    ]
    return environments, [check for project in projects for check in _checks(project, discovery, settings)]


def _configured(backends: Iterable[Backend], settings: Settings) -> list[Backend]:
    groups, extras = settings.backend.groups, settings.backend.extras
    return [
        replace(
            project,
            groups=project.groups if groups is None else groups,
            extras=project.extras if extras is None else extras,
        )
        for project in backends
    ]


def _tools(projects: Iterable[Backend], settings: Settings) -> tuple[tuple[str, str], ...]:
    """What Towpath adds to an environment that lacks it: tools that import the code they look at."""
    wants_mypy = any("mypy" in project.adopted for project in projects) or _is_switched_on(settings, "mypy")
    wants_pytest = any(project.has_tests for project in projects)
    hooked = next((project.hooked["mypy"] for project in projects if "mypy" in project.hooked), MYPY.version)
    mypy = ((MYPY.package, hooked),) if wants_mypy else ()
    pytest = ((PYTEST.package, PYTEST.version), ("pytest-cov", PYTEST_COVERAGE_VERSION)) if wants_pytest else ()
    return (*mypy, *pytest)


def _is_switched_on(settings: Settings, tool: str) -> bool:
    return any(chosen.enabled and name.rpartition("/")[2] == tool for name, chosen in settings.checks.items())


def _checks(project: Backend, discovery: Discovery, settings: Settings) -> list[PlannedCheck]:
    room = "backend" if len(discovery.backends) == 1 else f"backend/{project.path if project.path != '.' else 'root'}"
    without = other_folders(project.path, discovery)
    base = PlannedCheck(id=room, folder=project.path, timeout_seconds=settings.run.check_timeout_seconds)
    sources = replace(base, inputs=Inputs(without=without, names=_SOURCES))
    whole = replace(base, inputs=Inputs(without=without), environment=f"python:{project.root}")
    formatter = _formatter(project, sources)
    return [
        *formatter,
        _adoptable(project, sources, "ruff"),
        _types(project, sources, settings),
        *_tests(project, whole, settings),
    ]


def other_folders(path: str, discovery: Discovery) -> tuple[str, ...]:
    """Folders of the target's other projects, whose files this project's checks do not read."""
    paths = {project.path for project in discovery.backends} | {project.path for project in discovery.frontends}
    return tuple(sorted(other for other in paths if other != path and not is_within(path, other)))


def _formatter(project: Backend, base: PlannedCheck) -> list[PlannedCheck]:
    """The formatter the team uses; black, unused, where it uses none, so that the report says so."""
    if "ruff-format" in project.adopted and "black" not in project.adopted:
        return [_adoptable(project, base, "ruff-format")]
    return [_adoptable(project, base, "black")]


def _adoptable(project: Backend, base: PlannedCheck, tool: str) -> PlannedCheck:
    """A check that runs where the team uses its tool; in the environment when that holds the tool."""
    package = "ruff" if tool == "ruff-format" else tool
    is_installed = package in project.locked
    check = replace(
        base,
        id=f"{base.id}/{tool}",
        tool=tool,
        environment=f"python:{project.root}" if is_installed else None,
        version=project.locked.get(package, "") if is_installed else project.hooked.get(package, ""),
        is_declared=is_installed,
        why=project.adopted.get(tool, ""),
    )
    return check if tool in project.adopted else replace(check, settled=unused(tool))


def unused(tool: str) -> Outcome:
    return Outcome(
        Verdict.SKIPPED,
        f"{tool} is not used here: no configuration, no dependency, no hook names it",
        remedy=f"to use it all the same: [checks.{tool}] enabled = true in towpath.toml",
    )


def _types(project: Backend, base: PlannedCheck, settings: Settings) -> PlannedCheck:
    chosen = settings.backend.mypy_arguments or (() if project.is_mypy_configured else project.sources)
    check = _adoptable(project, base, "mypy")
    return replace(check, environment=f"python:{project.root}", options={"mypy": chosen})


def _tests(project: Backend, base: PlannedCheck, settings: Settings) -> list[PlannedCheck]:
    if not project.has_tests:
        none = Outcome(Verdict.SKIPPED, "no test files (test_*.py or *_test.py)", remedy="write a first test")
        return [replace(base, id=f"{base.id}/pytest", tool="pytest", settled=none)]
    coverage = ("configured",) if project.is_coverage_configured else project.sources
    extra = settings.backend.pytest_arguments
    tests = replace(
        base,
        id=f"{base.id}/pytest",
        tool="pytest",
        why=project.adopted["pytest"],
        version=project.locked.get("pytest", ""),
        is_declared="pytest" in project.locked,
        options={"pytest": (*extra, *project.without_smoke), "coverage": coverage},
    )
    smoke = _smoke(base, project, {"pytest": (*extra, *project.smoke)})
    return [tests, *smoke, _coverage(tests, project, settings)]


def _smoke(base: PlannedCheck, project: Backend, options: Mapping[str, tuple[str, ...]]) -> list[PlannedCheck]:
    if not project.smoke:
        return []
    return [
        replace(
            base,
            id=f"{base.id}/smoke",
            tool="pytest",
            why="marked as smoke tests",
            options=options,
            version=project.locked.get("pytest", ""),
        )
    ]


def _coverage(tests: PlannedCheck, project: Backend, settings: Settings) -> PlannedCheck:
    floor = settings.coverage.minimum_percent or project.coverage_floor_percent
    return PlannedCheck(
        id=tests.id.removesuffix("pytest") + "coverage",
        kind=CheckKind.COVERAGE,
        tool="coverage",
        folder=tests.folder,
        follows=tests.id,
        minimum_percent=floor,
        why=f"at least {floor:g} % of lines" if floor else "no minimum is set, the figure is shown",
    )
