"""Changed source files that tests should measure, so that one which no report mentions is not taken for covered.

It solves that a new module which no test ever imports, or a whole project without tests, would change no figure. The
project's own configuration says what is measured; tests, generated files and what the base excludes are left in peace.
"""

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import TypeVar

from pathspec import GitIgnoreSpec

from tasks.core.projects import COVERAGE_PROVIDERS, Backend, Discovery, Frontend, is_within, joined
from tasks.core.pull_requests.change import Change, ChangedFile

_PYTHON = (".py",)
_NODE = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", ".vue", ".svelte")
_NO_SOURCE = re.compile(
    r"(^|/)(tests?|__tests__|__mocks__|e2e|spec|docs|examples|benchmarks|node_modules)/"
    r"|(^|/)(test_[^/]*|[^/]*_test|conftest|setup|noxfile)\.py$"
    r"|\.(test|spec|bench|stories|cy|config|setup)\.[cm]?[jt]sx?$|\.d\.[cm]?ts$"
)
_Project = TypeVar("_Project", Backend, Frontend)


def should_be_measured(
    change: Change, discovery: Discovery, files: Collection[str], exclude: Iterable[str]
) -> dict[str, str]:
    """Path to why no report would mention it. `files` are all of the head's, `exclude` patterns of the base's."""
    excluded = GitIgnoreSpec.from_lines(exclude)
    wanted = [file for file in change.files if _is_source(file) and not excluded.match_file(file.path)]
    reasons = {file.path: _reason(file.path, discovery, files) for file in wanted}
    return {path: reason for path, reason in reasons.items() if reason}


def _is_source(file: ChangedFile) -> bool:
    is_written = not (file.is_gone or file.is_binary or file.is_generated or file.is_vendored)
    return is_written and bool(file.added) and not _NO_SOURCE.search(file.path)


def _reason(path: str, discovery: Discovery, files: Collection[str]) -> str:
    """Empty where nothing says that it should be measured."""
    if path.endswith(_PYTHON):
        backend = _nearest(path, discovery.backends)
        return _python_reason(path, backend) if backend else ""
    frontend = _nearest(path, discovery.frontends) if path.endswith(_NODE) else None
    return _node_reason(path, frontend, files) if frontend else ""


def _nearest(path: str, projects: Iterable[_Project]) -> _Project | None:
    holding = [project for project in projects if is_within(path, project.path)]
    return max(holding, key=lambda project: 0 if project.path == "." else len(project.path), default=None)


def _python_reason(path: str, project: Backend) -> str:
    inside = path if project.path == "." else path.removeprefix(f"{project.path}/")
    if any(_omits(pattern, inside) for pattern in project.coverage_omitted):
        return ""
    chosen = project.coverage_sources or project.sources
    if not any(is_within(inside, source) or is_within(inside, f"src/{source}") for source in chosen):
        return ""
    name = _named(project.path)
    return "its tests do not reach it, and its coverage leaves it out" if project.has_tests else f"{name} has no tests"


def _omits(pattern: str, path: str) -> bool:
    """As coverage.py reads it: `*` crosses folders, and a folder stands for all that is in it."""
    return fnmatchcase(path, pattern) or fnmatchcase(f"/{path}", pattern) or is_within(path, pattern)


def _node_reason(path: str, project: Frontend, files: Collection[str]) -> str:
    source = joined(project.path, "src")
    has_source = any(is_within(each, source) for each in files)
    if has_source and not is_within(path, source):
        return ""
    if COVERAGE_PROVIDERS & project.dependencies:
        return "its tests do not reach it, and its coverage leaves it out"
    if "vitest" in project.dependencies:
        return f"{_named(project.path)} measures no coverage: add @vitest/coverage-v8 to it"
    return f"{_named(project.path)} has no tests by vitest, whose coverage could be read"


def _named(folder: str) -> str:
    return "the project" if folder == "." else folder
